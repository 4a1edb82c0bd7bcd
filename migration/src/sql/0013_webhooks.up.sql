-- Outgoing webhooks: who is told of what, and what became of it.

create table webhooks (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    url text not null,
    topics {json} not null,              -- a list: contacts.created, deals.*, *
    filter {json},
    secret text not null,                -- sealed
    old_secret text,                     -- sealed; the one before, which signs along until its time is over
    old_secret_until {time},
    state text not null,                 -- active, failing, disabled, paused, ended
    state_reason text,
    state_at {time} not null,            -- since when; of a failing one, since its last success
    owner_id {uuid} not null,            -- whose eyes it sees with: whoever said last what it is told
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);
create index webhooks_heard on webhooks (tenant_id) where state in ('active', 'failing');
create index webhooks_owner_id on webhooks (tenant_id, owner_id);

create table webhook_deliveries (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    webhook_id {uuid} not null,
    event_id {uuid} not null,            -- the event; a test has one of its own that never happened
    topic text not null,
    action text not null,
    subject_id {uuid} not null,          -- the record
    data {json} not null,                -- as the webhook's owner saw it
    happened_at {time} not null,
    state text not null,                 -- pending, delivered, failed, cancelled
    state_reason text,
    attempts integer not null default 0,
    created_at {time} not null default {now},
    finished_at {time},
    unique (tenant_id, id),
    unique (tenant_id, webhook_id, event_id),
    foreign key (tenant_id, webhook_id) references webhooks (tenant_id, id) on delete cascade
);
create index webhook_deliveries_newest on webhook_deliveries (tenant_id, webhook_id, id desc);
create index webhook_deliveries_state on webhook_deliveries (tenant_id, webhook_id, state, id desc);
create index webhook_deliveries_age on webhook_deliveries (created_at);

create table webhook_attempts (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    delivery_id {uuid} not null,
    status integer,                      -- what HTTP said; none when nobody answered
    error text,
    response text,                       -- the beginning of the answer's body
    duration_ms bigint not null,
    created_at {time} not null default {now},
    foreign key (tenant_id, delivery_id) references webhook_deliveries (tenant_id, id) on delete cascade
);
create index webhook_attempts_delivery on webhook_attempts (tenant_id, delivery_id, id);
