-- Files whose rows become records: what is in one, what is made of it, how far that is, which records it wrote, and which rows could
-- not be taken.

create table imports (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    user_id {uuid},                      -- as whom it runs; nobody: the installation
    token_id {uuid},                     -- with whose limits besides
    topic text not null,
    file_name text not null,
    size bigint not null,                -- bytes
    sha256 text not null,
    shape {json} not null,               -- how the file is read, and its columns
    options {json} not null,             -- what is made of it: as it was asked for last
    fixes_id {uuid},                     -- the one whose faulty rows are in this file, mended
    job_id {uuid},                       -- its job, once it is started
    dry_run {bool} not null default {false},
    line bigint not null default 0,      -- up to which line of the file it is done
    row_count bigint not null,           -- how many the file has
    created bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    skipped bigint not null default 0,
    failed bigint not null default 0,
    revert_job_id {uuid},                -- the job that takes it back
    reverted bigint not null default 0,  -- records that are as they were
    kept bigint not null default 0,      -- records that somebody changed since
    revert_after {uuid},                 -- up to which record that is done
    created_at {time} not null default {now},
    started_at {time},
    finished_at {time},
    reverted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id),
    foreign key (tenant_id, fixes_id) references imports (tenant_id, id)
);
create index imports_created_at on imports (created_at);
create index imports_fixes on imports (tenant_id, fixes_id);

create table import_records (
    tenant_id {uuid} not null,
    import_id {uuid} not null,
    record_id {uuid} not null,
    line bigint not null,
    version bigint not null,             -- the record's, as the import left it
    before {json},                       -- what it changed, as that was; of one that it made: nothing
    primary key (tenant_id, import_id, record_id, line),
    foreign key (tenant_id, import_id) references imports (tenant_id, id) on delete cascade
);

create table import_faults (
    tenant_id {uuid} not null,
    import_id {uuid} not null,
    line bigint not null,
    code text not null,
    pointer text,                        -- the field, where it is about one
    message text not null,
    cells {json} not null,               -- the row, as it is in the file
    primary key (tenant_id, import_id, line),
    foreign key (tenant_id, import_id) references imports (tenant_id, id) on delete cascade
);
