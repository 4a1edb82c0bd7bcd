-- Records that became one, and what it takes to part them again: which record stayed, what it was and became, which ones went to the
-- trash, and what led to them.

create table merges (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    into_id {uuid} not null,             -- the record that stays
    user_id {uuid},
    changes {json} not null,             -- by field: from, to
    moved {json} not null,               -- by place: how many
    created_at {time} not null default {now},
    undone_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index merges_into on merges (tenant_id, into_id);
create index merges_newest on merges (tenant_id, id);

create table merge_records (
    tenant_id {uuid} not null,
    merge_id {uuid} not null,
    record_id {uuid} not null,           -- one that went to the trash
    primary key (tenant_id, merge_id, record_id),
    foreign key (tenant_id, merge_id) references merges (tenant_id, id) on delete cascade
);
create index merge_records_record on merge_records (tenant_id, record_id);

create table merge_moves (
    tenant_id {uuid} not null,
    merge_id {uuid} not null,
    place text not null,                 -- a table, or a resource and its field
    row_id {uuid} not null,              -- what led to the record
    from_id {uuid} not null,             -- the record
    had {bool} not null,                 -- whether it led to the one that stays too
    primary key (tenant_id, merge_id, place, row_id, from_id),
    foreign key (tenant_id, merge_id) references merges (tenant_id, id) on delete cascade
);

-- Pairs that somebody said are two.
create table duplicate_dismissals (
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    low_id {uuid} not null,
    high_id {uuid} not null,
    user_id {uuid},
    created_at {time} not null default {now},
    primary key (tenant_id, topic, low_id, high_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
