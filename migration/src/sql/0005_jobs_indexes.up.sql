-- A job is written four times in its life, and every write but an insert goes to each index that holds the row: what a
-- release or a claim doesn't have to touch makes a backlog go down a third faster. The board reads a tenant's jobs from three
-- partial indexes instead of one over all: waiting, in flight (jobs_out, never longer than the windows), finished.
drop index jobs_board;
drop index jobs_finished;
create index jobs_waiting on jobs (tenant_id, seq) where state in ('pending', 'held');
create index jobs_finished on jobs (state, tenant_id, seq) where state in ('done', 'dead', 'cancelled');
