-- Tenants, people, sign-in, settings, the event stream, schedules.
create table tenants (
    id {uuid} primary key,
    name text not null,
    slug text not null unique,
    locale text not null default 'pt-BR',
    time_zone text not null default 'America/Sao_Paulo',
    created_at {time} not null default {now}
);

create table users (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    email text not null,                 -- lower case
    name text not null,
    password_hash text not null,
    role text not null,                  -- admin, agent, viewer
    locale text,
    time_zone text,
    disabled_at {time},
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id)
);
-- One address signs in to one tenant.
create unique index users_email on users (email);

create table sessions (
    id {uuid} primary key,               -- `sid` of the access tokens
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    refresh_hash text not null unique,   -- SHA-256 of the refresh token
    user_agent text,
    address text,
    expires_at {time} not null,
    revoked_at {time},
    created_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index sessions_user on sessions (tenant_id, user_id);

create table personal_access_tokens (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    name text not null,
    token_hash text not null unique,     -- SHA-256; the token itself is shown once
    abilities {json} not null,           -- ["*"] or e.g. ["messages:send"]
    last_used_at {time},
    expires_at {time},
    revoked_at {time},
    created_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table settings (
    tenant_id {uuid} not null references tenants (id),
    key text not null,
    value {json} not null,
    updated_at {time} not null default {now},
    primary key (tenant_id, key)
);

-- Append-only. `seq` is taken before the commit, so it may become visible out of order; `position` is given after the
-- commit, in an order in which a cause always stands before its effect. Readers resume by `position`.
create table events (
    seq {serial},
    id {uuid} not null unique,
    position bigint unique,
    tenant_id {uuid} not null references tenants (id),
    topic text not null,                 -- the resource: conversations, messages, devices …
    subject_id {uuid} not null,
    action text not null,                -- created, updated, deleted …
    actor_kind text not null,            -- user, token, job, provider, system
    actor_id {uuid},
    cause_id {uuid},                     -- the event or job that led to this one
    depth smallint not null default 0,
    data {json} not null,                -- the diff
    created_at {time} not null default {now}
);
create index events_unplaced on events (seq) where position is null;
create index events_tenant on events (tenant_id, position);
create index events_subject on events (tenant_id, topic, subject_id, seq);

create table idempotency_keys (
    tenant_id {uuid} not null references tenants (id),
    key text not null,
    actor_id {uuid} not null,
    fingerprint text not null,           -- SHA-256 of method, path and body
    status smallint,                     -- of the stored answer
    response {json},                     -- null: in flight until locked_until
    locked_until {time} not null,
    created_at {time} not null default {now},
    primary key (tenant_id, actor_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

create table schedules (
    id {uuid} primary key,
    tenant_id {uuid} references tenants (id),   -- null: for the installation
    name text not null unique,
    kind text not null,                  -- the job that each occurrence becomes
    payload {json} not null,
    cron text not null,                  -- five fields, or six with seconds first
    time_zone text not null default 'UTC',
    catch_up text not null default 'latest',    -- all, latest, skip: what to do with occurrences missed
    next_at {time} not null,
    last_at {time},
    enabled {bool} not null default {true},
    created_at {time} not null default {now}
);
create index schedules_due on schedules (next_at) where enabled;
