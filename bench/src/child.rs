//! A measured process, from the harness's side.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::task::Task;

/// Longer than any single measurement may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A process that has its connections open. Dropped, it is killed.
pub(crate) struct Child {
    process: Process,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts `program args… task` and waits until it is ready.
    pub(crate) async fn start(program: &Path, args: &[&str], task: &Task) -> anyhow::Result<Self> {
        let mut child = Self::spawn(program, args, task)?;
        child.answer::<Value>("ready").await?;
        Ok(child)
    }

    /// Starts `program args… task`.
    pub(crate) fn spawn(program: &Path, args: &[&str], task: &impl Serialize) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .args(args)
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let orders = process.stdin.take().context("its input is piped")?;
        let answers = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
        Ok(Self { process, orders, answers })
    }

    /// Tells it to begin; a worker then has its loops running.
    pub(crate) async fn go(&mut self, works: bool) -> anyhow::Result<()> {
        self.orders.write_all(b"go\n").await?;
        if works {
            self.answer::<Value>("working").await?;
            // Whatever it does once at its start is over.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    /// The next answer, which must be the one named `event`.
    pub(crate) async fn answer<T: DeserializeOwned>(&mut self, event: &str) -> anyhow::Result<T> {
        let (name, answer) = self.any().await.with_context(|| format!("waiting for `{event}`"))?;
        ensure!(name == event, "`{name}` came before `{event}`");
        Ok(serde_json::from_value(answer)?)
    }

    /// The next answer and its name.
    pub(crate) async fn any(&mut self) -> anyhow::Result<(String, Value)> {
        loop {
            let line = timeout(PATIENCE, self.answers.next_line())
                .await
                .with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))??
                .context("a measured process ended early; what it said is above")?;
            // Libraries may print lines of their own.
            if let Ok(answer) = serde_json::from_str::<Value>(&line)
                && let Some(event) = answer.get("event").and_then(Value::as_str)
            {
                return Ok((event.to_owned(), answer));
            }
        }
    }

    /// Lets it end by itself for a moment, then kills it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Self { mut process, orders, answers } = self;
        drop((orders, answers));
        if timeout(Duration::from_secs(3), process.wait()).await.is_err() {
            process.kill().await?;
        }
        Ok(())
    }
}
