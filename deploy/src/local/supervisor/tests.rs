use std::future::Future;

use tokio::task::LocalSet;

use super::*;

struct Shell {
    folder: tempfile::TempDir,
    supervisor: Supervisor,
    notices: mpsc::UnboundedReceiver<Notice>,
    force: CancellationToken,
}

impl Shell {
    /// Keeps `sh -c script` alive for each script.
    fn keep<const N: usize>(scripts: [(&str, Role, &str); N]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let processes = scripts.map(|(name, role, script)| Process {
            name: name.to_owned(),
            role,
            program: "/bin/sh".into(),
            title: "sh",
            arguments: vec!["-c".into(), script.into()],
            log: folder.path().join(name),
        });
        let (told, notices) = mpsc::unbounded_channel();
        let force = CancellationToken::new();
        let supervisor = Supervisor::start(processes.to_vec(), force.clone(), &told);
        Self { folder, supervisor, notices, force }
    }

    async fn started(&mut self) -> u32 {
        match self.notices.recv().await {
            Some(Notice::Started { pid, .. }) => pid,
            other => panic!("{other:?}"),
        }
    }

    async fn died(&mut self) -> (String, Duration) {
        match self.notices.recv().await {
            Some(Notice::Died { reason, restart_in, .. }) => (reason, restart_in),
            other => panic!("{other:?}"),
        }
    }

    async fn stop(&mut self, role: Role) -> Vec<(String, Ending)> {
        let mut told = Vec::new();
        self.supervisor.stop(role, |name, ending| told.push((name.to_owned(), ending))).await;
        told
    }

    /// Waits until a script has written a line to its log: it is past that point then.
    async fn wait_for_output(&self, name: &str) {
        while logs::length(&self.folder.path().join(name)) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_process_that_dies_is_started_again_after_a_wait() {
    run(async {
        let mut shell = Shell::keep([("mta", Role::Mta, "exit 7")]);
        let first = shell.started().await;
        assert_eq!(shell.died().await, ("exited with status 7".to_owned(), Duration::from_millis(100)));
        assert_ne!(shell.started().await, first);
        assert_eq!(shell.died().await.1, Duration::from_millis(200));
    });
}

#[test]
fn a_signal_is_told_as_the_reason() {
    run(async {
        let mut shell = Shell::keep([("mta", Role::Mta, "kill -9 $$")]);
        shell.started().await;
        assert_eq!(shell.died().await.0, "was killed by signal 9");
    });
}

#[test]
fn a_stop_asks_the_processes_of_one_role_to_drain() {
    run(async {
        let drains = "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let mut shell = Shell::keep([
            ("mta", Role::Mta, drains),
            ("mta1", Role::Mta, drains),
            ("mda", Role::Mda, drains),
        ]);
        for _ in 0..3 {
            shell.started().await;
        }
        for name in ["mta", "mta1", "mda"] {
            shell.wait_for_output(name).await;
        }
        let both = [("mta".to_owned(), Ending::Drained), ("mta1".to_owned(), Ending::Drained)];
        assert_eq!(shell.stop(Role::Mta).await, both);
        let log = std::fs::read_to_string(shell.folder.path().join("mta1")).unwrap();
        assert_eq!(log, "up\ndrained\n");
        assert_eq!(std::fs::read_to_string(shell.folder.path().join("mda")).unwrap(), "up\n");
        assert_eq!(shell.stop(Role::Mda).await, [("mda".to_owned(), Ending::Drained)]);
    });
}

#[test]
fn one_that_does_not_drain_is_killed_when_forced() {
    run(async {
        let mut shell =
            Shell::keep([("msa", Role::Msa, "trap '' TERM; echo up; while :; do sleep 0.01; done")]);
        shell.started().await;
        shell.wait_for_output("msa").await;
        shell.force.cancel();
        assert_eq!(shell.stop(Role::Msa).await, [("msa".to_owned(), Ending::Killed)]);
    });
}

#[test]
fn a_stop_does_not_wait_for_a_restart() {
    run(async {
        let mut shell = Shell::keep([("msa", Role::Msa, "exit 1")]);
        shell.started().await;
        shell.died().await;
        assert_eq!(shell.stop(Role::Msa).await, [("msa".to_owned(), Ending::NotRunning)]);
    });
}

#[test]
fn a_program_that_is_not_there_is_told_and_tried_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let process = Process {
            name: "msa".to_owned(),
            role: Role::Msa,
            program: folder.path().join("nothing"),
            title: "nothing",
            arguments: Vec::new(),
            log: folder.path().join("log"),
        };
        let (told, mut notices) = mpsc::unbounded_channel();
        let _supervisor = Supervisor::start(vec![process], CancellationToken::new(), &told);
        for _ in 0..2 {
            match notices.recv().await {
                Some(Notice::Died { reason, .. }) => {
                    assert!(reason.starts_with("cannot be started: "), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}
