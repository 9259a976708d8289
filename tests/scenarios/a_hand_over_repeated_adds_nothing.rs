//! A receipt that is lost on its way makes the MSA hand the message over again, there or at another node. Whatever has
//! become of it by then, it is one message.

use std::net::SocketAddr;

use message::MessageId;
use pipeline_tests::load::{self, Door, Fate, Sent};
use pipeline_tests::{Options, Pipeline, Service, Tally, eventually};
use proto::mail::{Envelope, Recipient};
use proto::mta::EnqueueRequest;
use proto::mta::transfer_client::TransferClient;
use service::config::PeerConfig;
use service::grpc::client::{Channels, Retry, Target};
use service::tls::{PeerIdentity, Role};
use tokio::runtime::Runtime;

use crate::WAYPOST;

const TARGET: Target = Target { role: Role::Mta, service: "waypost.mta.v1.Transfer" };

#[test]
fn wherever_it_is_repeated() {
    let pipeline = Pipeline::start(WAYPOST, &Options { mta_nodes: 2, ..Options::default() });
    let msa = Msa::new(&pipeline);
    let [first, second] = [message(1), message(2)];
    let (first_id, second_id) = (MessageId::new(), MessageId::new());

    // Delivered straight away; then the same again at the same node, and at the other.
    for node in ["mta", "mta", "mta1"] {
        msa.hand_over(node, first_id, &first);
    }
    assert!(kept_by(&pipeline, "mta").is_empty(), "it went straight to the MDA");
    // And again while the MDA does not answer: now the node keeps it, although the MDA has it.
    pipeline.halt("mda");
    msa.hand_over("mta1", first_id, &first);
    assert_eq!(kept_by(&pipeline, "mta1"), [first_id.to_string()]);

    // The other message is kept by both nodes, and repeated at a node that has died since.
    for node in ["mta", "mta1"] {
        msa.hand_over(node, second_id, &second);
    }
    let old = pipeline.pid("mta1");
    pipeline.kill("mta1");
    eventually("the node to be started again", || pipeline.pid("mta1").filter(|&pid| Some(pid) != old));
    msa.hand_over("mta1", second_id, &second);
    assert_eq!(kept_by(&pipeline, "mta"), [second_id.to_string()]);
    assert_eq!(kept_by(&pipeline, "mta1"), [first_id.to_string(), second_id.to_string()]);

    pipeline.resume("mda");
    Tally::when_settled(&pipeline).check(&[first, second]);
    // After its end, too.
    msa.hand_over("mta1", second_id, &message(2));
    Tally::when_settled(&pipeline).check(&[message(1), message(2)]);
}

fn message(number: usize) -> Sent {
    Sent {
        token: format!("load-{number}-10"),
        door: Door::Submissions,
        recipients: vec!["bob@example.test"],
        wants_report: false,
        fate: Fate::Acknowledged,
    }
}

/// Ids of the messages in a node's spool, oldest first.
fn kept_by(pipeline: &Pipeline, node: Service) -> Vec<String> {
    let list = pipeline.waypost_ok(&["queue", "list", "--json"]);
    let messages: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let messages = messages.as_array().expect("a list");
    let here = messages.iter().filter(|message| message["node"] == node);
    here.map(|message| message["message_id"].as_str().expect("an id").to_owned()).collect()
}

/// The MSA's side of the hand-over, with the MSA's certificate.
struct Msa {
    runtime: Runtime,
    nodes: [(Service, Channels); 2],
}

impl Msa {
    fn new(pipeline: &Pipeline) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let tls = pipeline.data().join("tls");
        let identity = PeerIdentity::from_files(tls.join("msa.pem"), tls.join("msa.key"), tls.join("ca.pem"));
        let identity = identity.expect("the MSA's certificate");
        let _inside = runtime.enter();
        let nodes = ["mta", "mta1"].map(|node| {
            let address: SocketAddr = pipeline.address(node, "grpc");
            let peer = PeerConfig::at([address.to_string()]);
            (node, Channels::new(&peer, TARGET, Some(identity.clone())).expect("a client"))
        });
        Self { runtime, nodes }
    }

    /// Hands a message over, and waits for the receipt; a node that is being started is waited for.
    fn hand_over(&self, node: Service, id: MessageId, message: &Sent) {
        let (_, channels) = self.nodes.iter().find(|(name, _)| *name == node).expect("a node");
        let recipients = message
            .recipients
            .iter()
            .map(|&address| Recipient { address: address.into(), ..Recipient::default() });
        let envelope = Envelope {
            message_id: id.to_string(),
            reverse_path: "alice@example.test".into(),
            recipients: recipients.collect(),
            account: "alice@example.test".into(),
            ..Envelope::default()
        };
        let data = format!("Subject: {}\r\n\r\n{}", message.token, load::body(&message.token));
        let request = EnqueueRequest { envelope: Some(envelope), data: data.into(), state: None };
        let receipt = eventually("the receipt", || {
            let call = channels.call(Retry::Idempotent, |channel| {
                let requests = tokio_stream::iter([request.clone()]);
                async move { TransferClient::new(channel).enqueue(requests).await }
            });
            self.runtime.block_on(call).ok()
        });
        assert_eq!(receipt.into_inner().message_id, id.to_string());
    }
}
