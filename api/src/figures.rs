//! Figures for Prometheus: the process's own, and the queues' from SQL at each scrape.

use jobs::{Ledger, QueueView};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The recorder of this process. Cheap to clone.
#[derive(Clone)]
pub struct Figures(PrometheusHandle);

impl Figures {
    /// Installs the process's recorder, once; later calls get the same.
    ///
    /// # Errors
    /// Another recorder was installed.
    pub fn install() -> anyhow::Result<Self> {
        static INSTALLED: std::sync::Mutex<Option<PrometheusHandle>> = std::sync::Mutex::new(None);
        let mut installed = INSTALLED.lock().expect("nothing panics while holding it");
        if let Some(handle) = installed.as_ref() {
            return Ok(Self(handle.clone()));
        }
        let recorder = PrometheusBuilder::new().set_buckets(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| anyhow::anyhow!("another recorder of figures was installed"))?;
        Ok(Self(installed.insert(handle).clone()))
    }

    /// All figures as Prometheus reads them.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn render(&self, ledger: &Ledger) -> Result<String, db::DbErr> {
        let mut text = self.0.render();
        self.0.run_upkeep();
        let queues = ledger.queues().await?;
        let gauge = |text: &mut String, name: &str, help: &str, value: &dyn Fn(&QueueView) -> f64| {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
            for queue in &queues {
                text.push_str(&format!("{name}{{queue=\"{}\"}} {}\n", queue.name, value(queue)));
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of jobs")]
        let count = |n: i64| n as f64;
        gauge(&mut text, "somo_jobs_pending", "Jobs that wait, delayed ones included.", &|queue| count(queue.pending + queue.held));
        gauge(&mut text, "somo_jobs_running", "Jobs that run or are about to.", &|queue| count(queue.running + queue.dispatched));
        gauge(&mut text, "somo_jobs_dead", "Jobs that were given up.", &|queue| count(queue.dead));
        gauge(&mut text, "somo_jobs_oldest_seconds", "How long the oldest due job has waited, in seconds.", &|queue| {
            queue.oldest_pending_seconds.unwrap_or(0.0).max(0.0)
        });
        Ok(text)
    }
}
