//! What serves the clients: the store in this process, or the whole service in one of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use service::config::ByteSize;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    Config,
    imap::{
        Beginning,
        tests::client::{PASSWORD, Server, USER},
    },
    store::{LocalStore, StoreConfig, tests::assert_sound},
    testing::TestService,
};

const FOLDER: &str = "IMAP_MODEL_FOLDER";
const SERVES: &str = "serves imap at ";

pub(super) enum Host {
    /// Loses its power.
    Here { server: Server, address: SocketAddr, accepting: JoinHandle<()> },
    /// Is killed.
    Process(Process),
}

impl Host {
    pub(super) async fn here(server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (imap, shutdown) = (server.imap.clone(), server.shutdown.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (imap, shutdown) = (imap.clone(), shutdown.clone());
                tokio::spawn(async move { imap.serve(stream, peer, Beginning::Plain, shutdown).await });
            }
        });
        Self::Here { server, address, accepting }
    }

    pub(super) fn process() -> Self {
        Self::Process(Process::start(tempfile::tempdir().unwrap()))
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Here { address, .. } | Self::Process(Process { address, .. }) => *address,
        }
    }

    /// What comes after a crash.
    pub(super) async fn crashed(self) -> Self {
        match self {
            Self::Here { server, accepting, .. } => {
                accepting.abort();
                Self::here(server.crashed()).await
            }
            Self::Process(process) => Self::Process(Process::start(process.killed())),
        }
    }

    /// Ends it; everything in the store must fit together.
    pub(super) fn end(self) {
        // A store that is in this process is looked at whenever it is let go of.
        if let Self::Process(process) = self {
            let folder = process.killed();
            let config = Config { data_dir: folder.path().into(), ..Config::default() }.store_config();
            let (store, _) = LocalStore::open(StoreConfig { min_free_bytes: 0, ..config }).unwrap();
            assert_sound(&store);
        }
    }
}

/// The service in a process of its own, over a folder that outlives it.
pub(super) struct Process {
    child: Child,
    address: SocketAddr,
    folder: Option<TempDir>,
    /// Kept open: the test harness says there that it has been running for long, and ends if nobody would read it.
    _output: BufReader<ChildStdout>,
}

impl Process {
    fn start(folder: TempDir) -> Self {
        let module = module_path!().split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::serves_until_it_is_killed"), "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = output.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once(SERVES)?;
            address.parse().ok()
        });
        Self { child, address: address.expect("it serves"), folder: Some(folder), _output: output }
    }

    /// Kills it with SIGKILL, if it lives.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn killed(mut self) -> TempDir {
        self.kill();
        self.folder.take().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test starts, and kills"]
async fn serves_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let is_new = !folder.join("journal").exists();
    let service = TestService::start_with(|config| {
        config.data_dir = folder.into();
        // Small, so that kills meet what is done with segments.
        config.store.segment_size = ByteSize::kib(256);
    })
    .await;
    if is_new {
        service.create_account(USER, PASSWORD).await;
    }
    println!("{SERVES}{}", service.addresses.imap[0]);
    std::future::pending::<()>().await;
}
