-- The job ledger; the `jobs` crate owns these tables and documents them.
create table jobs (
    seq {serial},
    id {uuid} not null unique,
    tenant_id {uuid} not null,
    queue text not null,
    route text not null default '',      -- '' = any worker of the queue
    kind text not null,
    payload {json} not null,
    priority smallint not null default 1,       -- 0 urgent, 1 normal, 2 low, 3 bulk
    order_key text,
    unique_key text,
    run_at {time} not null default {now},
    state text not null default 'pending',
    attempts smallint not null default 0,
    max_attempts smallint not null default 20,
    token bigint not null default 0,     -- fences the running attempt
    lease_until {time},
    worker text,
    progress {json},
    last_error text,
    cause_id {uuid},
    depth smallint not null default 0,
    created_at {time} not null default {now},
    started_at {time},
    finished_at {time}
);
-- What may be released: a skip scan over tenants inside (queue, route, priority).
create index jobs_due on jobs (queue, route, priority, tenant_id, run_at, seq) where state = 'pending';
create index jobs_out on jobs (queue, route, state, lease_until) where state in ('dispatched', 'running');
create index jobs_line on jobs (queue, order_key, seq) where order_key is not null and state in ('pending', 'held', 'dispatched', 'running');
-- At most one job of a line is in flight.
create unique index jobs_lane on jobs (queue, order_key) where order_key is not null and state in ('dispatched', 'running');
create unique index jobs_unique on jobs (tenant_id, queue, unique_key) where unique_key is not null and state in ('pending', 'held', 'dispatched', 'running');
create index jobs_board on jobs (tenant_id, queue, state, seq);
create index jobs_finished on jobs (finished_at) where state in ('done', 'dead', 'cancelled');
--pg alter table jobs set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000, fillfactor = 80);

create table job_queues (
    name text primary key,
    paused_at {time}
);

-- A route is a lane of a queue that one process at a time listens on.
create table job_routes (
    queue text not null,
    route text not null,
    owner text,
    lease_until {time},
    epoch bigint not null default 0,
    primary key (queue, route)
);

create table job_workers (
    name text primary key,
    host text not null,
    pid integer not null,
    version text not null,
    queues {json} not null,
    running integer not null default 0,
    started_at {time} not null default {now},
    seen_at {time} not null default {now}
);
