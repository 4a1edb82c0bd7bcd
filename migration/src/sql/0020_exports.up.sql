-- What somebody takes out as a file, how far that is, and until when the file is there.

create table exports (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    user_id {uuid},                      -- as whom it runs; nobody: the installation
    token_id {uuid},                     -- with whose limits besides
    topic text not null,                 -- a resource, or `audit`
    request {json} not null,             -- the body, as it was asked for
    format text not null,
    job_id {uuid} not null,
    row_count bigint not null default 0,
    size bigint,                         -- bytes, once it is there
    created_at {time} not null default {now},
    finished_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index exports_created_at on exports (created_at);
