-- What somebody asked to be done to so many records that a job does it, how far it is, and what could not be done.

create table bulk_runs (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    user_id {uuid},                      -- as whom it runs; nobody: the installation
    token_id {uuid},                     -- with whose limits besides
    job_id {uuid} not null,
    topic text not null,
    request {json} not null,             -- the body, as it was asked for
    dry_run {bool} not null,
    total bigint not null,               -- how many there were when it was asked for
    last_id {uuid},                      -- up to which record it is done, by their ids
    done bigint not null default 0,
    failed bigint not null default 0,
    created_at {time} not null default {now},
    finished_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index bulk_runs_created_at on bulk_runs (created_at);

create table bulk_faults (
    tenant_id {uuid} not null,
    bulk_run_id {uuid} not null,
    record_id {uuid} not null,           -- which may be no record's
    code text not null,
    pointer text,                        -- the field, where it is about one
    message text not null,
    primary key (tenant_id, bulk_run_id, record_id),
    foreign key (tenant_id, bulk_run_id) references bulk_runs (tenant_id, id) on delete cascade
);
