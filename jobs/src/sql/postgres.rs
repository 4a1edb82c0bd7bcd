//! PostgreSQL's wording (13 and later).

use sea_orm::DbBackend;

use super::Dialect;

/// One relay passes at a time per lane, or the window would not hold. A statement of its own, before [`RELEASE`]: the
/// release then sees everything that the pass before it committed. No compilation for this transaction: the planner takes
/// the release for a thousand times more work than it is, and compiling it would take 600 ms in every pass.
pub(crate) const LOCK_RELAY: &str = "
select pg_try_advisory_xact_lock(hashtextextended($1, 7203)) as locked, set_config('jit', 'off', true)";

/// $1 queue, $2 route, $3 window, $4 at least so many of each tenant, $5 seconds a message may take to be claimed.
///
/// - `tenant`: a skip scan, one index probe for each tenant with waiting jobs of a level, however many jobs it has. The
///   order by `run_at` after the tenant keeps the planner on jobs_due: jobs_waiting has the tenants in order too, but with
///   it a level without jobs reads the whole backlog.
/// - `candidate`: the first due jobs of each, in turn, so that a tenant with a million can't hold up one with five.
///   One range scan for each level and tenant, so that rows due later are never read.
/// - `judged`: of a line only its oldest unfinished job, and only when none is in flight.
/// - `= any(array(…))` keeps the planner on the primary key, where a join reads the whole table; `order by … limit 1`
///   keeps it on jobs_line, where an `exists` doesn't.
pub(crate) const RELEASE: &str = "
with recursive room as materialized (
    select greatest(0, $3::bigint - (select count(*) from jobs where queue = $1 and route = $2 and state = 'dispatched')) as n
    where not exists (select from job_queues q where q.name = $1 and q.paused_at is not null)
), tenant(priority, id) as (
    select p.level::smallint, (select j.tenant_id from jobs j where j.queue = $1 and j.route = $2 and j.state = 'pending'
                               and j.priority = p.level order by j.tenant_id, j.run_at limit 1)
    from generate_series(0, 3) as p(level) where (select n from room) > 0
    union all
    select t.priority, (select j.tenant_id from jobs j where j.queue = $1 and j.route = $2 and j.state = 'pending'
                        and j.priority = t.priority and j.tenant_id > t.id order by j.tenant_id, j.run_at limit 1)
    from tenant t where t.id is not null
), share as materialized (
    select greatest($4::bigint, (select n from room) / greatest(1, count(distinct id))) as n from tenant where id is not null
), candidate as materialized (
    select c.seq, c.order_key, t.priority, c.run_at, row_number() over (partition by t.priority, t.id order by c.run_at, c.seq) as turn
    from tenant t cross join lateral (
        select j.seq, j.order_key, j.run_at from jobs j
        where j.queue = $1 and j.route = $2 and j.state = 'pending' and j.priority = t.priority and j.tenant_id = t.id and j.run_at <= now()
        order by j.run_at, j.seq limit (select n from share) for update skip locked
    ) c where t.id is not null
), judged as materialized (
    select c.*, c.order_key is null or (
        c.seq = (select k.seq from jobs k where k.queue = $1 and k.order_key = c.order_key and k.order_key is not null
                 and k.state in ('pending', 'held', 'dispatched', 'running') order by k.queue, k.order_key, k.seq limit 1)
        and not exists (select from jobs k where k.queue = $1 and k.order_key = c.order_key and k.order_key is not null
                        and k.state in ('dispatched', 'running'))) as first
    from candidate c
), parked as (
    update jobs set state = 'held' where seq = any(array(select seq from judged where not first)) returning order_key
), chosen as materialized (
    select seq, priority, turn, run_at from judged where first order by priority, turn, run_at, seq limit (select n from room)
), released as (
    update jobs set state = 'dispatched', lease_until = now() + $5 * interval '1 s'
    where seq = any(array(select seq from chosen)) returning seq
)
select c.seq, null::text as parked from (
    select c.seq from chosen c join released r on r.seq = c.seq order by c.priority, c.turn, c.run_at, c.seq) c
union all select null, order_key from (select distinct order_key from parked) p";

/// In `claim` and `finish`, `state || ''` keeps the planner on the primary key: with a bare `state` it reads all that is in
/// flight from jobs_out, dead entries too. The `array(select unnest(…))` in `claim` is there because a cast inside `any` would
/// be done again for each row read.
pub(super) const DIALECT: Dialect = Dialect {
    backend: DbBackend::Postgres,
    enqueue: "
insert into jobs (id, tenant_id, queue, route, kind, payload, priority, max_attempts, order_key, unique_key, run_at, cause_id, depth)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($12, now() + $11 * interval '1 s'), $13, $14)
on conflict (tenant_id, queue, unique_key)
    where unique_key is not null and state in ('pending', 'held', 'dispatched', 'running') do nothing",
    due: "
select 1 as due from generate_series(0, 3) as p(level)
where exists (select from jobs where queue = $1 and route = $2 and state = 'pending' and priority = p.level and run_at <= now())
limit 1",
    wake_lines: "
update jobs set state = 'pending' where seq = any(array(
    select seq from jobs where state = 'held' and seq = any(array(
        select h.seq from jsonb_array_elements_text($2) as f(key) cross join lateral (
            select seq from jobs k where k.queue = $1 and k.order_key = f.key and k.order_key is not null
            and k.state in ('pending', 'held', 'dispatched', 'running') order by k.queue, k.order_key, k.seq limit 1) h))
    for update skip locked))
returning route",
    claim: "
update jobs set state = 'running', attempts = attempts + 1, token = $4, worker = $2,
       started_at = now(), lease_until = now() + $3 * interval '1 s'
where seq = any(array(
    select seq from jobs where seq = any(array(select unnest(cast($1::text as bigint[])))) and state || '' = 'dispatched'
    and (route = '' or exists (select from job_routes r where r.queue = jobs.queue and r.route = jobs.route
                               and r.owner = $2 and r.lease_until > now()))
    for update skip locked))
returning seq, id, tenant_id, queue, route, kind, payload, order_key, attempts, max_attempts, token, cause_id, depth",
    finish: "
update jobs j set
    state = case when f.outcome = 'retry' and j.attempts >= j.max_attempts then 'dead'
                 when f.outcome in ('retry', 'snooze') then 'pending' else f.outcome end,
    attempts = j.attempts - (f.outcome = 'snooze')::int,
    run_at = case when f.outcome in ('retry', 'snooze') then now() + f.wait * interval '1 s' else j.run_at end,
    last_error = coalesce(f.error, j.last_error), lease_until = null,
    finished_at = case when f.outcome in ('done', 'dead') or (f.outcome = 'retry' and j.attempts >= j.max_attempts) then now() end
from jsonb_to_recordset($1) as f(seq bigint, token bigint, outcome text, wait float8, error text)
where j.seq = any(array(select seq from jsonb_to_recordset($1) as s(seq bigint)))
  and j.seq = f.seq and j.token = f.token and j.state || '' = 'running'
returning j.seq, j.queue, j.route, j.order_key, j.state",
    finish_one: "
update jobs set state = 'done', lease_until = null, finished_at = now()
where seq = $1 and token = $2 and state = 'running' returning seq",
    hold: "select seq from jobs where seq = $1 and token = $2 and state = 'running' for update",
    take_back: "
update jobs set state = 'pending', lease_until = null where seq = any(array(
    select seq from jobs where seq = any(array(select unnest(cast($1::text as bigint[])))) and state || '' = 'dispatched'
    for update skip locked))",
    renew: "
update jobs set lease_until = now() + $2 * interval '1 s' where seq = any(array(
    select j.seq from jsonb_to_recordset($1) as r(seq bigint, token bigint) join jobs j on j.seq = r.seq and j.token = r.token
    where j.seq = any(array(select seq from jsonb_to_recordset($1) as s(seq bigint))) and j.state = 'running'
    for update of j skip locked))",
    give_back: "
update jobs j set state = 'pending', attempts = j.attempts - 1, lease_until = null
from jsonb_to_recordset($1) as f(seq bigint, token bigint)
where j.seq = any(array(select seq from jsonb_to_recordset($1) as s(seq bigint)))
  and j.seq = f.seq and j.token = f.token and j.state = 'running'
returning j.queue, j.route",
    let_go: "
update jobs set state = 'pending', attempts = attempts - 1, lease_until = null where seq = any(array(
    select seq from jobs where state = 'running' and worker = $1 for update))
returning id, kind, queue, route",
    progress: "
update jobs set progress = $3, lease_until = greatest(lease_until, now() + $4 * interval '1 s')
where seq = $1 and token = $2 and state = 'running' returning seq",
    reap: "
update jobs set lease_until = null,
    state = case when state = 'running' and attempts >= max_attempts then 'dead' else 'pending' end,
    finished_at = case when state = 'running' and attempts >= max_attempts then now() end,
    last_error = case when state = 'running' then 'the worker was lost: lease expired on ' || coalesce(worker, '?') else last_error end
where seq = any(array(select seq from jobs where state in ('dispatched', 'running') and lease_until < now()
                      limit 1000 for update skip locked))
returning queue, route, order_key, state",
    sleeping: "select distinct queue, order_key from jobs where state = 'held' and order_key is not null",
    trim: "
delete from jobs where seq = any(array(
    select seq from jobs where id < $3 and state in ('done', 'cancelled') and finished_at < now() - $1 * interval '1 s'
    order by id limit $2 for update skip locked))",
};
