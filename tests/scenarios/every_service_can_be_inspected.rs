//! With a general gRPC tool and the operator's certificate alone, every service tells what it serves, how it is, and
//! answers; without that certificate it does not.

use std::collections::BTreeSet;
use std::fs;

use pipeline_tests::{Options, Pipeline, Program, program, python};
use rcgen::{CertificateParams, KeyPair, SanType};

use crate::WAYPOST;

/// Knows the services only by what they tell through reflection, as grpcurl does. Prints lines for the assertions.
const TOOL: &str = r"
import grpc, sys
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest as Ask, ServerReflectionResponse as Answer

class Service:
    def __init__(self, port, ca, certificate=None, key=None):
        read = lambda path: open(path, 'rb').read() if path else None
        credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))
        self.channel = grpc.secure_channel('localhost:%s' % port, credentials)
        self.pool = DescriptorPool()
        self.known = set()

    def ask(self, version, **question):
        method = '/grpc.reflection.%s.ServerReflection/ServerReflectionInfo' % version
        call = self.channel.stream_stream(method, Ask.SerializeToString, Answer.FromString)
        return next(call(iter([Ask(**question)]), timeout=20))

    def services(self, version):
        return sorted(s.name for s in self.ask(version, list_services='').list_services_response.service)

    def load(self, version, **question):
        for data in self.ask(version, **question).file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            if file.name not in self.known:
                self.known.add(file.name)
                for needed in file.dependency:
                    self.load(version, file_by_filename=needed)
                self.pool.Add(file)

    def describe(self, name, version='v1'):
        self.load(version, file_containing_symbol=name)
        return self.pool.FindServiceByName(name)

    def call(self, service, method, **fields):
        found = self.describe(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        answer = message_factory.GetMessageClass(found.output_type)
        rpc = self.channel.unary_unary(f'/{service}/{method}', lambda m: m.SerializeToString(), answer.FromString)
        return rpc(request, timeout=20)
";

/// Arguments: port, authority, certificate, key.
const DESCRIBE: &str = r"
service = Service(*sys.argv[1:])
for version in 'v1', 'v1alpha':
    for name in service.services(version):
        print(version, 'service', name)
        for method in service.describe(name, version).methods:
            fields = [f.name for m in (method.input_type, method.output_type) for f in m.fields]
            print(version, 'method', method.full_name, len(fields))
    service.pool, service.known = DescriptorPool(), set()
from grpc_health.v1 import health_pb2, health_pb2_grpc
health = health_pb2_grpc.HealthStub(service.channel)
for name in [''] + [n for n in service.services('v1') if n.startswith('waypost.')]:
    status = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status
    print('health', name or 'overall', health_pb2.HealthCheckResponse.ServingStatus.Name(status))
";

/// Arguments: authority, certificate, key, then port, service, method, and fields as pairs.
const CALL: &str = r"
ca, certificate, key, port, service, method, *fields = sys.argv[1:]
try:
    tool = Service(port, ca, certificate, key)
    print(json_format.MessageToJson(tool.call(service, method, **dict(zip(fields[::2], fields[1::2])))))
except grpc.RpcError as error:
    print(error.code().name)
";

/// What every service serves beside its own.
const STANDARD_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Calls for operators, one of each service that has any; with what the answer must hold.
const OPERATORS_CALLS: [(&str, &[&str], &str); 4] = [
    ("mta", &["waypost.mta.v1.Queue", "List"], "{}"),
    ("mda", &["waypost.mda.v1.Directory", "ListAccounts"], "alice@example.test"),
    ("mda", &["waypost.mda.v1.Mailbox", "List", "account", "bob@example.test"], "INBOX"),
    (
        "mda",
        &["waypost.mda.v1.Mailbox", "Status", "account", "bob@example.test", "mailbox", "INBOX"],
        "uidValidity",
    ),
];

#[test]
fn reflection_tells_every_service_and_health_that_it_serves() {
    let Some(python) = python("grpc_reflection, grpc_health") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for (process, services, methods) in [
        ("msa", &["waypost.msa.v1.Submission"][..], &["waypost.msa.v1.Submission.Submit"][..]),
        (
            "mta",
            &["waypost.mta.v1.Events", "waypost.mta.v1.Queue", "waypost.mta.v1.Transfer"],
            &[
                "waypost.mta.v1.Events.Watch",
                "waypost.mta.v1.Queue.Steer",
                "waypost.mta.v1.Queue.Trace",
                "waypost.mta.v1.Transfer.Enqueue",
            ],
        ),
        (
            "mda",
            &[
                "waypost.mda.v1.Delivery",
                "waypost.mda.v1.Directory",
                "waypost.mda.v1.Mailbox",
                "waypost.mda.v1.Store",
            ],
            &[
                "waypost.mda.v1.Delivery.Deliver",
                "waypost.mda.v1.Directory.CreateAccount",
                "waypost.mda.v1.Mailbox.Status",
                "waypost.mda.v1.Store.Check",
            ],
        ),
    ] {
        let [ca, certificate, key] = identity(&pipeline, "operator");
        let port = pipeline.address(process, "grpc").port().to_string();
        let said = run(&python, DESCRIBE, &[&port, &ca, &certificate, &key]);
        for version in ["v1", "v1alpha"] {
            let prefix = format!("{version} service ");
            let listed: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
            let expected = services.iter().chain(&STANDARD_SERVICES).copied().collect();
            assert_eq!(
                listed, expected,
                "{process} lists by reflection {version} what it serves, and no more"
            );
            for method in methods {
                let described = format!("{version} method {method} ");
                assert!(said.contains(&described), "{process} does not describe {method}:\n{said}");
            }
        }
        let health: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix("health ")).collect();
        let expected: Vec<String> =
            ["overall"].iter().chain(services).map(|name| format!("{name} SERVING")).collect();
        assert_eq!(health, expected.iter().map(String::as_str).collect(), "{process}");
    }
}

#[test]
fn an_operator_calls_what_reflection_described() {
    let Some(python) = python("grpc_reflection") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for (process, call, expected) in OPERATORS_CALLS {
        let answer = inspect(&python, &pipeline, &identity(&pipeline, "operator"), process, call);
        assert!(answer.contains(expected), "{call:?}: no {expected} in {answer}");
    }
}

#[test]
fn only_an_operator_does() {
    let Some(python) = python("grpc_reflection") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let nobody = [pipeline.ca(), String::new(), String::new()];
    let stranger = operator_of_another_authority(&pipeline);
    for (process, call, _) in OPERATORS_CALLS {
        let answer = |identity: &[String; 3]| inspect(&python, &pipeline, identity, process, call);
        assert_eq!(answer(&identity(&pipeline, "msa")), "PERMISSION_DENIED", "{call:?} as the MSA");
        assert_eq!(answer(&nobody), "UNAVAILABLE", "{call:?} without a certificate");
        assert_eq!(answer(&stranger), "UNAVAILABLE", "{call:?} with a stranger's certificate");
    }
    let log = fs::read_to_string(pipeline.data().join("log/mda.log")).unwrap();
    assert!(log.contains("/waypost.mda.v1.Mailbox/List"), "what was denied is logged:\n{log}");
}

#[test]
fn metrics_and_health_answer_by_plain_http() {
    let Some(curl) = program("curl") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for service in ["msa", "mta", "mda"] {
        let address = pipeline.address(service, "http");
        for (page, expected) in [("healthz", "alive"), ("readyz", "ready"), ("metrics", "# EOF")] {
            let output = curl.run(&["-sS", "--fail", &format!("http://{address}/{page}")]);
            let body = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && body.contains(expected), "{service} /{page}: {output:?}");
        }
    }
}

/// Authority, certificate and key of a role.
fn identity(pipeline: &Pipeline, role: &str) -> [String; 3] {
    let file = |name: String| pipeline.data().join("tls").join(name).display().to_string();
    [pipeline.ca(), file(format!("{role}.pem")), file(format!("{role}.key"))]
}

/// One that names the role `operator`, but that nobody signed whom the services trust.
fn operator_of_another_authority(pipeline: &Pipeline) -> [String; 3] {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI("urn:waypost:role:operator".try_into().unwrap()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let write = |name, text: String| {
        let path = pipeline.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [pipeline.ca(), write("stranger.pem", certificate.pem()), write("stranger.key", key.serialize_pem())]
}

/// The answer as JSON, or the name of the status.
fn inspect(
    python: &Program,
    pipeline: &Pipeline,
    identity: &[String; 3],
    process: &'static str,
    call: &[&str],
) -> String {
    let port = pipeline.address(process, "grpc").port().to_string();
    let mut arguments: Vec<&str> = identity.iter().map(String::as_str).collect();
    arguments.push(&port);
    arguments.extend(call);
    run(python, CALL, &arguments)
}

fn run(python: &Program, script: &str, arguments: &[&str]) -> String {
    let script = format!("{TOOL}{script}");
    let mut command = python.command();
    let output = command.args(["-c", &script]).args(arguments).output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
