//! Asking MTA nodes: all of them, or one that the user names.

use std::time::Duration;

use proto::mta::queue_client::QueueClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Credentials, Node, Pipeline, status};

/// Questions are answered soon; an order may concern a million messages.
const ASKING: Duration = Duration::from_secs(30);
const TELLING: Duration = Duration::from_hours(1);
/// The largest answer: a message may have thousands of recipients, each with a reply.
const LARGEST: usize = 64 << 20;

/// Which nodes a command asks.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which pipeline")]
pub(super) struct Choice {
    /// Ask only the MTA node of this name
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// The nodes that a command is about.
pub(super) struct Nodes {
    chosen: Vec<Node>,
    credentials: Credentials,
    console: Console,
}

/// A node's `Queue`, with the node's name for people.
pub(super) struct Queue {
    pub(super) node: String,
    pub(super) client: QueueClient<Channel>,
}

impl Choice {
    /// Finds them.
    pub(super) fn find(&self, console: Console) -> Result<Nodes, Failure> {
        let pipeline = Pipeline::find(&self.pipeline)?;
        let all = pipeline.mta()?;
        let nodes: Vec<Node> = match &self.node {
            None => all.to_vec(),
            Some(name) => all.iter().filter(|node| node.name == *name).cloned().collect(),
        };
        if nodes.is_empty() {
            let names: Vec<&str> = all.iter().map(|node| node.name.as_str()).collect();
            let what = format!("cannot ask the node {}", self.node.as_deref().unwrap_or_default());
            return Err(Failure::new(what, format!("there are: {}", names.join(", "))));
        }
        Ok(Nodes { chosen: nodes, credentials: pipeline.credentials, console })
    }
}

impl Nodes {
    /// Asks each node in turn. What one cannot answer is told as a warning; it fails only if none can.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFn(&mut Queue) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for node in &self.chosen {
            match self.ask_one(node, ASKING, &question).await {
                Ok(answer) => answers.push(answer),
                Err(failure) => failures.push(failure),
            }
        }
        if answers.is_empty()
            && let Some(failure) = failures.pop()
        {
            return Err(failure);
        }
        for failure in failures {
            self.console.warn(format_args!("a node is left out: {failure}"));
        }
        Ok(answers)
    }

    /// Tells each node to do something: fails at the first that does not.
    pub(super) async fn tell<T>(
        &self,
        order: impl AsyncFn(&mut Queue) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut answers = Vec::with_capacity(self.chosen.len());
        for node in &self.chosen {
            answers.push(self.ask_one(node, TELLING, &order).await?);
        }
        Ok(answers)
    }

    async fn ask_one<T>(
        &self,
        node: &Node,
        within: Duration,
        question: &impl AsyncFn(&mut Queue) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let channel = pipeline::channel_for(&node.address, &self.credentials, within).await?;
        let client = QueueClient::new(channel).max_decoding_message_size(LARGEST);
        question(&mut Queue { node: node.name.clone(), client }).await
    }

    /// The first answer of a node that knows the message; a failure if none does.
    pub(super) async fn find_message<T>(
        &self,
        id: &str,
        question: impl AsyncFn(&mut Queue) -> Result<Response<T>, Status>,
    ) -> Result<(String, T), Failure> {
        let found = self
            .ask(async |queue| match question(queue).await {
                Ok(answer) => Ok(Some((queue.node.clone(), answer.into_inner()))),
                Err(error) if error.code() == Code::NotFound => Ok(None),
                Err(error) => Err(status(format!("cannot ask {} about {id}", queue.node), &error)),
            })
            .await?;
        found.into_iter().flatten().next().ok_or_else(|| {
            Failure::new(format!("cannot show {id}"), "it waits at no MTA node")
                .advise("`waypost trace` tells what became of it")
        })
    }
}
