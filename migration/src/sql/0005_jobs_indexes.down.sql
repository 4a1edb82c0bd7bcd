drop index jobs_waiting;
drop index jobs_finished;
create index jobs_board on jobs (tenant_id, queue, state, seq);
create index jobs_finished on jobs (finished_at) where state in ('done', 'dead', 'cancelled');
