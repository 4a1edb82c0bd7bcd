use std::{collections::BTreeSet, time::Duration};

use jobs::{NewJob, Outcome, Priority, testing};
use serde_json::json;
use tests::{
    act::{self, Deed, effects},
    ledger::brisk,
    on_every_ledger,
};

on_every_ledger! {
    async fn every_job_runs_once_and_is_done(setup: Setup) {
        let runtime = setup.work(brisk());
        setup.enqueue((0..100).map(|n| setup.act(n, Deed::Effect))).await;
        setup.finished().await;
        runtime.stop(Duration::from_secs(5)).await;
        assert_eq!(effects(setup.ledger.db()).await.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
        assert_eq!(effects(setup.ledger.db()).await.len(), 100);
        assert!(setup.states().await.iter().all(|(_, state, attempts)| state == "done" && *attempts == 1));
    }

    async fn a_rolled_back_write_leaves_no_job(setup: Setup) {
        let tx = setup.ledger.begin().await.unwrap();
        tx.enqueue(setup.act(1, Deed::Effect)).await.unwrap();
        drop(tx);
        setup.enqueue([setup.act(2, Deed::Effect)]).await;
        let runtime = setup.work(brisk());
        setup.finished().await;
        assert_eq!(effects(setup.ledger.db()).await, [2]);
        drop(runtime);
    }

    async fn a_line_runs_in_the_order_it_was_written_while_others_run_beside_it(setup: Setup) {
        setup.enqueue((0..200).map(|n| setup.act(n, Deed::Effect).order_key(format!("line-{}", n % 5)))).await;
        let runtime = setup.work(brisk());
        setup.finished().await;
        drop(runtime);
        let done = effects(setup.ledger.db()).await;
        assert_eq!(done.len(), 200);
        for line in 0..5 {
            let own: Vec<_> = done.iter().copied().filter(|n| n % 5 == line).collect();
            assert!(own.is_sorted(), "line {line}: {own:?}");
        }
    }

    async fn a_failing_head_holds_its_line_until_it_is_dead_then_the_line_goes_on(setup: Setup) {
        setup.enqueue([
            setup.act(1, Deed::Fail(1)).order_key("line"),
            setup.act(2, Deed::Effect).order_key("line"),
            setup.act(3, Deed::Effect),
        ]).await;
        let runtime = setup.work(brisk());
        setup.finished().await;
        drop(runtime);
        assert_eq!(setup.log.starts().into_iter().filter(|(n, _)| *n != 3).collect::<Vec<_>>(), [(1, 1), (1, 2), (1, 3), (2, 1)]);
        assert_eq!(setup.states().await, [(1, "dead".into(), 3), (2, "done".into(), 1), (3, "done".into(), 1)]);
    }

    async fn urgent_jobs_go_before_bulk(setup: Setup) {
        setup.enqueue_together((0..40).map(|n| setup.act(n, Deed::Note).priority(Priority::Bulk))).await;
        setup.enqueue_together((40..50).map(|n| setup.act(n, Deed::Note).priority(Priority::Urgent))).await;
        // Decided at the release; within a window a transport may reorder.
        let mut options = jobs::runtime::Options { concurrency: 1, ..brisk() };
        options.pace.window = 5;
        let runtime = setup.work(options);
        setup.finished().await;
        drop(runtime);
        let last = setup.log.numbers().iter().rposition(|n| *n >= 40).unwrap();
        assert!(last < 15, "the last urgent job was the {last}th");
    }

    async fn a_tenant_with_many_jobs_does_not_hold_up_one_with_few(setup: Setup) {
        let small = uuid::Uuid::now_v7();
        setup.enqueue_together((0..300).map(|n| setup.act(n, Deed::Note))).await;
        setup.enqueue_together((1000..1005).map(|n| act::Act::job(n, Deed::Note, small))).await;
        let mut options = jobs::runtime::Options { concurrency: 1, ..brisk() };
        options.pace.window = 20;
        let runtime = setup.work(options);
        setup.finished().await;
        drop(runtime);
        let last = setup.log.numbers().iter().rposition(|n| *n >= 1000).unwrap();
        assert!(last < 40, "the small tenant's last job was the {last}th");
    }

    async fn a_delayed_job_waits_and_a_due_one_does_not_wait_for_it(setup: Setup) {
        setup.enqueue([setup.act(1, Deed::Note).delay(Duration::from_secs(3600)), setup.act(2, Deed::Note)]).await;
        let runtime = setup.work(brisk());
        while setup.log.numbers().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(setup.log.numbers(), [2]);
        setup.hurry().await;
        setup.finished().await;
        assert_eq!(setup.log.numbers(), [2, 1]);
        drop(runtime);
    }

    async fn of_two_unfinished_jobs_with_one_key_the_second_is_not_written(setup: Setup) {
        let tx = setup.ledger.begin().await.unwrap();
        assert!(tx.enqueue(setup.act(1, Deed::Note).unique_key("one")).await.unwrap().is_some());
        assert!(tx.enqueue(setup.act(2, Deed::Note).unique_key("one")).await.unwrap().is_none());
        assert!(tx.enqueue(act::Act::job(3, Deed::Note, uuid::Uuid::now_v7()).unique_key("one")).await.unwrap().is_some());
        tx.commit().await.unwrap();
        let runtime = setup.work(brisk());
        setup.finished().await;
        setup.enqueue([setup.act(4, Deed::Note).unique_key("one")]).await;
        setup.finished().await;
        drop(runtime);
        assert_eq!(setup.log.numbers().into_iter().collect::<BTreeSet<_>>(), [1, 3, 4].into());
    }

    async fn a_failure_a_panic_and_a_dead_end_are_told_apart(setup: Setup) {
        let runtime = setup.work(brisk());
        setup.enqueue([setup.act(1, Deed::Fail(1)), setup.act(2, Deed::Panic), setup.act(3, Deed::Dead), setup.act(4, Deed::SnoozeOnce(1))]).await;
        while !testing::leftovers(&setup.ledger).await.unwrap().is_empty() {
            setup.hurry().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(runtime);
        let dead = "dead".to_owned();
        assert_eq!(setup.states().await, [(1, dead.clone(), 3), (2, dead.clone(), 3), (3, dead, 1), (4, "done".into(), 1)]);
        let jobs = jobs::testing::newest(&setup.ledger, setup.tenant, 10).await.unwrap();
        let errors: BTreeSet<_> = jobs.into_iter().filter(|job| job.state == "dead").filter_map(|job| job.last_error).collect();
        assert_eq!(errors, ["told to fail", "the handler panicked; see the log", "told to die"].map(str::to_owned).into());
    }

    async fn a_payload_that_no_longer_decodes_is_dead_and_the_queue_goes_on(setup: Setup) {
        let broken = NewJob::raw(setup.tenant, act::QUEUE, "tests.act", json!({ "n": "secret", "deed": "note" }));
        let unknown = NewJob::raw(setup.tenant, act::QUEUE, "tests.from_the_future", json!({}));
        let (broken_id, unknown_id) = (broken.id(), unknown.id());
        setup.enqueue([broken, unknown, setup.act(1, Deed::Effect)]).await;
        let runtime = setup.work(brisk());
        while effects(setup.ledger.db()).await.is_empty() || setup.ledger.find(setup.tenant, broken_id).await.unwrap().unwrap().state != "dead" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(runtime);
        let broken = setup.ledger.find(setup.tenant, broken_id).await.unwrap().unwrap();
        let reason = broken.last_error.unwrap();
        assert!(reason.starts_with("the payload is not one of tests.act") && !reason.contains("secret"), "{reason}");
        let unknown = setup.ledger.find(setup.tenant, unknown_id).await.unwrap().unwrap();
        assert_ne!(unknown.state, "done", "a newer version may know it");
    }

    async fn a_paused_queue_starts_nothing_until_it_is_resumed(setup: Setup) {
        setup.ledger.pause(act::QUEUE).await.unwrap();
        let runtime = setup.work(brisk());
        setup.enqueue((0..5).map(|n| setup.act(n, Deed::Note))).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(setup.log.numbers().is_empty());
        let queues = setup.ledger.queues().await.unwrap();
        let queue = queues.iter().find(|queue| queue.name == act::QUEUE).unwrap();
        assert!(queue.paused_at.is_some() && queue.pending == 5 && queue.oldest_pending_seconds.unwrap() > 0.0, "{queue:?}");
        setup.ledger.resume(act::QUEUE).await.unwrap();
        setup.finished().await;
        assert_eq!(setup.log.numbers().len(), 5);
        drop(runtime);
    }

    async fn a_message_delivered_twice_runs_once(setup: Setup) {
        setup.enqueue((0..20).map(|n| setup.act(n, Deed::SlowEffect(20)))).await;
        let runtime = setup.work(brisk());
        let lane = jobs::Lane::queue(act::QUEUE);
        for seq in 1..=20 {
            setup.transport.push(&lane, &[seq, seq]).await.unwrap();
        }
        setup.finished().await;
        for seq in 1..=20 {
            setup.transport.push(&lane, &[seq]).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(runtime);
        let mut done = effects(setup.ledger.db()).await;
        done.sort_unstable();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
    }

    async fn a_lost_message_is_delivered_again(setup: Setup) {
        setup.enqueue([setup.act(1, Deed::Effect)]).await;
        // Released by a process that dies before its push arrives anywhere.
        let pace = jobs::relay::Pace { deliver_within: Duration::from_millis(300), ..Default::default() };
        let gone = jobs::relay::Relay::new(setup.ledger.clone(), jobs::Lane::queue(act::QUEUE), jobs::Transport::local(), pace);
        assert_eq!(gone.pass().await.unwrap().released, 1);
        drop(gone);
        let runtime = setup.work(brisk());
        setup.finished().await;
        drop(runtime);
        assert_eq!(effects(setup.ledger.db()).await, [1]);
    }

    async fn what_could_not_be_delivered_waits_for_no_reaper(setup: Setup) {
        setup.enqueue([setup.act(1, Deed::Effect)]).await;
        let through = |transport| jobs::relay::Relay::new(setup.ledger.clone(), jobs::Lane::queue(act::QUEUE), transport, jobs::relay::Pace::default());
        through(jobs::Transport::redis("redis://127.0.0.1:1", "away").unwrap()).pass().await.unwrap_err();
        assert_eq!(through(jobs::Transport::local()).pass().await.unwrap().released, 1);
    }

    async fn a_lost_worker_costs_one_attempt_and_its_effects_are_not_written_twice(setup: Setup) {
        let lost = setup.work(brisk());
        setup.enqueue([setup.act(1, Deed::SlowEffect(60_000))]).await;
        while setup.log.numbers().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(lost); // as if it were killed: nothing is given back
        let tx = setup.ledger.begin().await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&*tx, r#"update jobs set payload = '{"n": 1, "deed": "effect"}'"#).await.unwrap();
        tx.commit().await.unwrap();
        let other = setup.work(brisk());
        setup.finished().await;
        drop(other);
        assert_eq!(effects(setup.ledger.db()).await, [1]);
        assert_eq!(setup.states().await, [(1, "done".into(), 2)]);
    }

    async fn a_job_longer_than_its_lease_is_renewed_and_runs_once(setup: Setup) {
        let runtime = setup.work(jobs::runtime::Options { lease: Duration::from_millis(600), ..brisk() });
        setup.enqueue([setup.act(1, Deed::SlowEffect(2500))]).await;
        setup.finished().await;
        drop(runtime);
        assert_eq!(setup.log.starts(), [(1, 1)]);
        assert_eq!(effects(setup.ledger.db()).await, [1]);
    }

    async fn a_job_that_holds_itself_part_after_part_runs_once(setup: Setup) {
        let runtime = setup.work(jobs::runtime::Options { lease: Duration::from_millis(600), ..brisk() });
        setup.enqueue([setup.act(1, Deed::Parts(30))]).await;
        setup.finished().await;
        drop(runtime);
        assert_eq!(setup.log.starts(), [(1, 1)]);
        assert_eq!(effects(setup.ledger.db()).await, [1]);
    }

    async fn a_stopped_worker_finishes_what_runs_and_gives_back_the_rest(setup: Setup) {
        let runtime = setup.work(jobs::runtime::Options { concurrency: 2, ..brisk() });
        setup.enqueue((0..20).map(|n| setup.act(n, Deed::SlowEffect(100)))).await;
        while setup.log.numbers().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        runtime.stop(Duration::from_secs(10)).await;
        let started = setup.log.numbers().len();
        assert!(started < 20);
        assert_eq!(effects(setup.ledger.db()).await.len(), started, "what had started was finished");
        let other = setup.work(brisk());
        setup.finished().await;
        drop(other);
        assert_eq!(effects(setup.ledger.db()).await.len(), 20);
        assert!(setup.states().await.iter().all(|(_, state, attempts)| state == "done" && *attempts == 1));
    }

    async fn a_cancelled_job_does_not_run_and_a_running_one_cannot_write_its_effects(setup: Setup) {
        let (waiting, running) = (setup.act(1, Deed::Effect).order_key("line"), setup.act(2, Deed::SlowEffect(500)));
        let (waiting_id, running_id) = (waiting.id(), running.id());
        setup.enqueue([waiting, setup.act(3, Deed::Effect).order_key("line"), running]).await;
        setup.ledger.cancel(setup.tenant, waiting_id).await.unwrap();
        let runtime = setup.work(brisk());
        while !setup.log.numbers().contains(&2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        setup.ledger.cancel(setup.tenant, running_id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
        setup.finished().await;
        assert_eq!(effects(setup.ledger.db()).await, [3]);
        assert!(matches!(setup.ledger.cancel(setup.tenant, running_id).await, Err(jobs::BoardError::Conflict(_))));
        assert!(matches!(setup.ledger.cancel(uuid::Uuid::now_v7(), running_id).await, Err(jobs::BoardError::NotFound)));
        setup.ledger.retry(setup.tenant, waiting_id).await.unwrap();
        setup.finished().await;
        drop(runtime);
        assert_eq!(effects(setup.ledger.db()).await, [3, 1]);
    }
}

#[tokio::test]
async fn an_attempt_that_was_taken_over_can_neither_finish_nor_write() {
    for kind in [tests::database::Kind::Sqlite, tests::database::Kind::Postgres] {
        let setup = tests::ledger::setup(kind, tests::ledger::Via::Local).await;
        setup.enqueue([setup.act(1, Deed::Note)]).await;
        let pace = jobs::relay::Pace::default();
        let relay = jobs::relay::Relay::new(setup.ledger.clone(), jobs::Lane::queue(act::QUEUE), setup.transport.clone(), pace);
        relay.pass().await.unwrap();
        let old = setup.ledger.claim("slow", Duration::from_millis(10), &[1]).await.unwrap();
        assert!(setup.ledger.claim("twin", Duration::from_secs(60), &[1]).await.unwrap().is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(setup.ledger.reap().await.unwrap(), 1);
        relay.pass().await.unwrap();
        let new = setup.ledger.claim("new", Duration::from_secs(60), &[1]).await.unwrap();
        assert_eq!((old[0].attempts, new[0].attempts), (1, 2));
        setup.ledger.finish(&[(old[0].clone(), Outcome::Done)]).await.unwrap();
        assert_eq!(setup.states().await, [(1, "running".into(), 2)]);
        setup.ledger.finish(&[(new[0].clone(), Outcome::Done)]).await.unwrap();
        assert_eq!(setup.states().await, [(1, "done".into(), 2)]);
    }
}

#[tokio::test]
async fn a_claim_that_nobody_runs_is_let_go_when_its_process_stops() {
    for kind in [tests::database::Kind::Sqlite, tests::database::Kind::Postgres] {
        let setup = tests::ledger::setup(kind, tests::ledger::Via::Local).await;
        setup.enqueue([setup.act(1, Deed::Effect)]).await;
        let pace = jobs::relay::Pace::default();
        let relay = jobs::relay::Relay::new(setup.ledger.clone(), jobs::Lane::queue(act::QUEUE), setup.transport.clone(), pace);
        relay.pass().await.unwrap();
        let runtime = setup.work(jobs::runtime::Options { queues: Vec::new(), ..brisk() });
        // As if the answer to its claim had never come.
        assert_eq!(setup.ledger.claim(runtime.name(), Duration::from_secs(60), &[1]).await.unwrap().len(), 1);
        runtime.stop(Duration::from_secs(5)).await;
        assert_eq!(setup.states().await, [(1, "pending".into(), 0)]);
        let other = setup.work(brisk());
        setup.finished().await;
        drop(other);
        assert_eq!(setup.states().await, [(1, "done".into(), 1)]);
    }
}
