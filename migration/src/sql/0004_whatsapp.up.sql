create table whatsapp_devices (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    provider text not null,              -- cloud, web
    phone_number_id text,
    business_account_id text,
    secrets text,                        -- sealed JSON: access_token, app_secret
    verify_token_hash text,              -- SHA-256 of what Meta shows when a webhook is set up
    status text not null default 'connecting',  -- connecting, connected, slowed, stopped, unauthorized, disconnected
    status_reason text,
    status_at {time} not null default {now},
    settings {json} not null,            -- rates and the like; absent keys mean the defaults
    version integer not null default 1,
    deleted_at {time},
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id)
);
-- A number belongs to one device of the installation: the webhook finds its secret by it.
create unique index whatsapp_devices_number on whatsapp_devices (phone_number_id) where phone_number_id is not null and deleted_at is null;
create index whatsapp_devices_verify on whatsapp_devices (verify_token_hash) where verify_token_hash is not null;
create index whatsapp_devices_account on whatsapp_devices (business_account_id) where business_account_id is not null and deleted_at is null;

create table whatsapp_attendants (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    user_id {uuid} not null,
    status text not null default 'offline',     -- online, away, offline
    capacity integer not null default 5,
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    unique (tenant_id, user_id),
    foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table whatsapp_conversations (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    device_id {uuid} not null,
    contact_id {uuid} not null,
    chat text not null,                  -- canonical: E.164 digits, a group id, or lid:…
    wa_id text not null,                 -- what the provider calls the chat
    status text not null default 'open', -- open, pending, snoozed, resolved
    assignee_id {uuid},
    priority smallint not null default 1,
    unread integer not null default 0,
    last_message_id {uuid},
    last_message_at {time},
    last_inbound_at {time},
    last_inbound_provider_id text,
    window_until {time},
    waiting_since {time},
    first_reply_at {time},
    version integer not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    unique (tenant_id, device_id, chat),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id),
    foreign key (tenant_id, assignee_id) references users (tenant_id, id)
);
create index whatsapp_conversations_recent on whatsapp_conversations (tenant_id, last_message_at, id);

create table whatsapp_messages (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    conversation_id {uuid} not null,
    device_id {uuid} not null,
    contact_id {uuid} not null,
    attendant_id {uuid},
    direction text not null,             -- in, out
    kind text not null,                  -- text, image, … unsupported
    content {json} not null,             -- the provider's shape, under the key of its kind
    chat text not null,
    sender text not null,                -- canonical; 'me' for outgoing
    provider_id text,
    reply_to_id {uuid},
    status text not null,                -- out: queued, handed, accepted, sent, delivered, read, failed, unknown; in: received
    error {json},
    deadline_at {time},                  -- out: given up when still queued then
    slot_at {time},                      -- out: when the rate limits let it go; reserved once
    provider_at {time},                  -- the provider's own time
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, conversation_id) references whatsapp_conversations (tenant_id, id),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id),
    foreign key (tenant_id, attendant_id) references users (tenant_id, id)
);
create unique index whatsapp_messages_provider on whatsapp_messages (tenant_id, device_id, chat, sender, provider_id) where provider_id is not null;
create index whatsapp_messages_by_provider_id on whatsapp_messages (tenant_id, device_id, provider_id) where provider_id is not null;
create index whatsapp_messages_waiting on whatsapp_messages (deadline_at) where status = 'queued';
create index whatsapp_messages_created on whatsapp_messages (created_at);
create index whatsapp_messages_conversation on whatsapp_messages (tenant_id, conversation_id, created_at, id);

create table whatsapp_message_events (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    message_id {uuid} not null,
    status text not null,
    at {time} not null,
    detail {json},
    created_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, message_id) references whatsapp_messages (tenant_id, id) on delete cascade
);
create index whatsapp_message_events_message on whatsapp_message_events (tenant_id, message_id, created_at, id);

create table whatsapp_media (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    device_id {uuid} not null,
    message_id {uuid},
    provider_media_id text,
    mime_type text,
    file_name text,
    size bigint,
    sha256 text,
    state text not null default 'pending',      -- pending, stored, failed
    error text,
    storage_key text,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id),
    foreign key (tenant_id, message_id) references whatsapp_messages (tenant_id, id) on delete cascade
);
create index whatsapp_media_message on whatsapp_media (tenant_id, message_id);

-- Webhook deliveries as they came, one row a change; purged some days after they were ingested.
create table whatsapp_inbox (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    device_id {uuid} not null,
    body {json} not null,
    received_at {time} not null default {now},
    processed_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id)
);
create index whatsapp_inbox_processed on whatsapp_inbox (processed_at) where processed_at is not null;

-- GCRA: the theoretical arrival time of the next message, per device and per recipient.
create table whatsapp_rates (
    tenant_id {uuid} not null,
    device_id {uuid} not null,
    key text not null,                   -- 'device' or the recipient
    tat_ms bigint not null,              -- milliseconds since 1970
    primary key (tenant_id, device_id, key),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id)
);

create table whatsapp_queue (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    conversation_id {uuid} not null,
    priority smallint not null default 1,
    entered_at {time} not null default {now},
    unique (tenant_id, id),
    unique (tenant_id, conversation_id),
    foreign key (tenant_id, conversation_id) references whatsapp_conversations (tenant_id, id) on delete cascade
);

create table whatsapp_auto_responses (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    rule {json} not null,
    content {json} not null,
    enabled {bool} not null default {true},
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    unique (tenant_id, id)
);

-- Roll-ups; rebuilt from whatsapp_messages, so that an hour computed twice is the same hour.
create table whatsapp_statistics (
    tenant_id {uuid} not null,
    device_id {uuid} not null,
    period text not null,                -- hour, day
    starts_at {time} not null,           -- UTC for hours; midnight in the tenant's time zone for days
    received integer not null default 0,
    sent integer not null default 0,
    delivered integer not null default 0,
    read integer not null default 0,
    failed integer not null default 0,
    conversations integer not null default 0,
    first_replies integer not null default 0,
    first_reply_seconds bigint not null default 0,
    computed_at {time} not null default {now},
    primary key (tenant_id, device_id, period, starts_at),
    foreign key (tenant_id, device_id) references whatsapp_devices (tenant_id, id)
);
