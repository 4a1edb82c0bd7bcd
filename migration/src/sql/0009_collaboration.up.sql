-- What people do around a record of any topic: comments, who follows it, what they are told, files; and the views of lists
-- that they keep. Nothing refers to a record here, whose table may be any: what is deleted for good takes these along.

create table comments (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    subject_id {uuid} not null,          -- the record
    parent_id {uuid},                    -- the comment that it answers, which answers none itself
    author_id {uuid} not null,
    body text not null,                  -- empty once it is deleted
    edited_at {time},
    deleted_at {time},
    created_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, parent_id) references comments (tenant_id, id) on delete cascade,
    foreign key (tenant_id, author_id) references users (tenant_id, id)
);
create index comments_subject on comments (tenant_id, topic, subject_id, id);
create index comments_parent_id on comments (tenant_id, parent_id) where parent_id is not null;

create table comment_mentions (
    tenant_id {uuid} not null,
    comment_id {uuid} not null,
    user_id {uuid} not null,
    primary key (tenant_id, comment_id, user_id),
    foreign key (tenant_id, comment_id) references comments (tenant_id, id) on delete cascade,
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table comment_reactions (
    tenant_id {uuid} not null,
    comment_id {uuid} not null,
    user_id {uuid} not null,
    emoji text not null,
    created_at {time} not null default {now},
    primary key (tenant_id, comment_id, user_id, emoji),
    foreign key (tenant_id, comment_id) references comments (tenant_id, id) on delete cascade,
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

-- The owner of a record follows it without a row.
create table followers (
    tenant_id {uuid} not null,
    topic text not null,
    subject_id {uuid} not null,          -- the record
    user_id {uuid} not null,
    following {bool} not null,           -- false: left it on purpose
    primary key (tenant_id, topic, subject_id, user_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table notifications (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    user_id {uuid} not null,             -- who is told
    kind text not null,                  -- mentioned, commented, assigned, won, lost
    topic text not null,
    subject_id {uuid} not null,          -- the record
    comment_id {uuid},
    actor_id {uuid},                     -- whose doing it was
    read_at {time},
    created_at {time} not null default {now},
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index notifications_user on notifications (tenant_id, user_id, id);
create index notifications_unread on notifications (tenant_id, user_id) where read_at is null;
create index notifications_subject on notifications (tenant_id, topic, subject_id);
create index notifications_age on notifications (created_at);

create table saved_views (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    name text not null,
    filter {json},
    sort text,
    layout text not null,                -- list, board, calendar
    visibility text not null,            -- private, shared
    owner_id {uuid},
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);
create index saved_views_newest on saved_views (tenant_id, created_at desc, id desc) where deleted_at is null;
create index saved_views_trash on saved_views (deleted_at) where deleted_at is not null;
create index saved_views_owner_id on saved_views (tenant_id, owner_id) where owner_id is not null;

create table saved_view_columns (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    saved_view_id {uuid} not null,
    field text not null,
    foreign key (tenant_id, saved_view_id) references saved_views (tenant_id, id)
);
create index saved_view_columns_of on saved_view_columns (tenant_id, saved_view_id);

-- The bytes lie in the object store, under the tenant's id and this one.
create table attachments (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,
    subject_id {uuid} not null,          -- the record
    file_name text not null,
    mime_type text not null,
    size bigint not null,
    sha256 text not null,
    uploader_id {uuid},
    created_at {time} not null default {now},
    foreign key (tenant_id, uploader_id) references users (tenant_id, id)
);
create index attachments_subject on attachments (tenant_id, topic, subject_id, id);
