-- The CRM's own records. Every table has the columns that the kernel of `domain::resource` expects; who owns what and which
-- fields there are stands there.

--pg {fold};

-- `key` is the name without case and accents.
create table tags (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    key text not null,
    color text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index tags_newest on tags (tenant_id, created_at desc, id desc) where deleted_at is null;
create index tags_trash on tags (deleted_at) where deleted_at is not null;
create unique index tags_key on tags (tenant_id, key) where deleted_at is null;

create table taggings (
    tenant_id {uuid} not null,
    subject_id {uuid} not null,          -- a record of any topic
    tag_id {uuid} not null,
    topic text not null,
    primary key (tenant_id, subject_id, tag_id),
    foreign key (tenant_id, tag_id) references tags (tenant_id, id) on delete cascade
);
create index taggings_tag on taggings (tenant_id, tag_id, topic);

create table sources (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index sources_newest on sources (tenant_id, created_at desc, id desc) where deleted_at is null;
create index sources_trash on sources (deleted_at) where deleted_at is not null;
create unique index sources_name on sources (tenant_id, {fold(name)}) where deleted_at is null;

create table industries (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index industries_newest on industries (tenant_id, created_at desc, id desc) where deleted_at is null;
create index industries_trash on industries (deleted_at) where deleted_at is not null;
create unique index industries_name on industries (tenant_id, {fold(name)}) where deleted_at is null;

create table lost_reasons (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index lost_reasons_newest on lost_reasons (tenant_id, created_at desc, id desc) where deleted_at is null;
create index lost_reasons_trash on lost_reasons (deleted_at) where deleted_at is not null;
create unique index lost_reasons_name on lost_reasons (tenant_id, {fold(name)}) where deleted_at is null;

create table activity_types (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    icon text,
    color text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index activity_types_newest on activity_types (tenant_id, created_at desc, id desc) where deleted_at is null;
create index activity_types_trash on activity_types (deleted_at) where deleted_at is not null;
create unique index activity_types_name on activity_types (tenant_id, {fold(name)}) where deleted_at is null;

create table call_outcomes (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    color text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index call_outcomes_newest on call_outcomes (tenant_id, created_at desc, id desc) where deleted_at is null;
create index call_outcomes_trash on call_outcomes (deleted_at) where deleted_at is not null;
create unique index call_outcomes_name on call_outcomes (tenant_id, {fold(name)}) where deleted_at is null;

create table teams (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    description text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index teams_newest on teams (tenant_id, created_at desc, id desc) where deleted_at is null;
create index teams_trash on teams (deleted_at) where deleted_at is not null;
create unique index teams_name on teams (tenant_id, {fold(name)}) where deleted_at is null;

alter table users add column version bigint not null default 1;
alter table users add column deleted_at {time};
alter table users add column job_title text;
alter table users add column phone text;

-- `grants` is {topic: {act: reach}}, `hidden` is {topic: [field]}.
create table roles (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    description text,
    grants {json} not null,
    hidden {json} not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index roles_trash on roles (deleted_at) where deleted_at is not null;
create unique index roles_name on roles (tenant_id, {fold(name)}) where deleted_at is null;

create table user_roles (
    tenant_id {uuid} not null,
    role_id {uuid} not null,
    user_id {uuid} not null,
    primary key (tenant_id, role_id, user_id),
    foreign key (tenant_id, role_id) references roles (tenant_id, id) on delete cascade,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index user_roles_user_id on user_roles (tenant_id, user_id);

create table team_members (
    tenant_id {uuid} not null,
    team_id {uuid} not null,
    user_id {uuid} not null,
    primary key (tenant_id, team_id, user_id),
    foreign key (tenant_id, team_id) references teams (tenant_id, id) on delete cascade,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index team_members_user_id on team_members (tenant_id, user_id);

create table companies (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    domain text,
    email text,
    phone text,
    website text,
    industry_id {uuid},
    source_id {uuid},
    owner_id {uuid},
    parent_id {uuid},
    employees bigint,
    revenue bigint,
    currency text,
    description text,
    next_activity_at {time},
    street text,
    city text,
    state text,
    postal_code text,
    country text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, industry_id) references industries (tenant_id, id),
    foreign key (tenant_id, source_id) references sources (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id),
    foreign key (tenant_id, parent_id) references companies (tenant_id, id)
);
create index companies_newest on companies (tenant_id, created_at desc, id desc) where deleted_at is null;
create index companies_trash on companies (deleted_at) where deleted_at is not null;
create unique index companies_domain on companies (tenant_id, {fold(domain)}) where deleted_at is null;
create index companies_industry_id on companies (tenant_id, industry_id) where industry_id is not null;
create index companies_source_id on companies (tenant_id, source_id) where source_id is not null;
create index companies_owner_id on companies (tenant_id, owner_id) where owner_id is not null;
create index companies_parent_id on companies (tenant_id, parent_id) where parent_id is not null;

alter table contacts rename column source to origin;
update contacts set origin = 'manual' where origin is null;
--pg alter table contacts alter column version type bigint;
alter table contacts add column job_title text;
alter table contacts add column birthday date;
alter table contacts add column source_id {uuid};
alter table contacts add column description text;
alter table contacts add column last_contacted_at {time};
alter table contacts add column next_activity_at {time};
alter table contacts add column street text;
alter table contacts add column city text;
alter table contacts add column state text;
alter table contacts add column postal_code text;
alter table contacts add column country text;
--pg alter table contacts add foreign key (tenant_id, source_id) references sources (tenant_id, id);
create index contacts_newest on contacts (tenant_id, created_at desc, id desc) where deleted_at is null;
create index contacts_trash on contacts (deleted_at) where deleted_at is not null;
create index contacts_owner on contacts (tenant_id, owner_id);

create table contact_companies (
    tenant_id {uuid} not null,
    contact_id {uuid} not null,
    company_id {uuid} not null,
    primary key (tenant_id, contact_id, company_id),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    foreign key (tenant_id, company_id) references companies (tenant_id, id) on delete cascade
);
create index contact_companies_company_id on contact_companies (tenant_id, company_id);

create table pipelines (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    position bigint not null,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index pipelines_newest on pipelines (tenant_id, created_at desc, id desc) where deleted_at is null;
create index pipelines_trash on pipelines (deleted_at) where deleted_at is not null;
create unique index pipelines_name on pipelines (tenant_id, {fold(name)}) where deleted_at is null;

create table stages (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    pipeline_id {uuid} not null,
    name text not null,
    position bigint not null,
    probability bigint not null,
    rotting_days bigint,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, pipeline_id) references pipelines (tenant_id, id)
);
create index stages_newest on stages (tenant_id, created_at desc, id desc) where deleted_at is null;
create index stages_trash on stages (deleted_at) where deleted_at is not null;
create index stages_pipeline_id on stages (tenant_id, pipeline_id) where pipeline_id is not null;

-- `amount` is in hundredths; `position` sorts the deals of a stage.
create table deals (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    pipeline_id {uuid} not null,
    stage_id {uuid} not null,
    status text not null,
    amount bigint,
    currency text not null,
    expected_close date,
    owner_id {uuid},
    company_id {uuid},
    source_id {uuid},
    lost_reason_id {uuid},
    lost_note text,
    description text,
    position text not null,
    stage_entered_at {time} not null,
    won_at {time},
    lost_at {time},
    next_activity_at {time},
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, pipeline_id) references pipelines (tenant_id, id),
    foreign key (tenant_id, stage_id) references stages (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id),
    foreign key (tenant_id, company_id) references companies (tenant_id, id),
    foreign key (tenant_id, source_id) references sources (tenant_id, id),
    foreign key (tenant_id, lost_reason_id) references lost_reasons (tenant_id, id)
);
create index deals_newest on deals (tenant_id, created_at desc, id desc) where deleted_at is null;
create index deals_trash on deals (deleted_at) where deleted_at is not null;
create index deals_pipeline_id on deals (tenant_id, pipeline_id) where pipeline_id is not null;
create index deals_stage_id on deals (tenant_id, stage_id) where stage_id is not null;
create index deals_owner_id on deals (tenant_id, owner_id) where owner_id is not null;
create index deals_company_id on deals (tenant_id, company_id) where company_id is not null;
create index deals_source_id on deals (tenant_id, source_id) where source_id is not null;
create index deals_lost_reason_id on deals (tenant_id, lost_reason_id) where lost_reason_id is not null;
create index deals_board on deals (tenant_id, stage_id, position, id) where deleted_at is null and status = 'open';

create table deal_contacts (
    tenant_id {uuid} not null,
    deal_id {uuid} not null,
    contact_id {uuid} not null,
    primary key (tenant_id, deal_id, contact_id),
    foreign key (tenant_id, deal_id) references deals (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index deal_contacts_contact_id on deal_contacts (tenant_id, contact_id);

-- How long a deal was in which stage.
create table deal_stage_visits (
    id {uuid} primary key,
    tenant_id {uuid} not null,
    deal_id {uuid} not null,
    stage_id {uuid} not null,
    entered_at {time} not null,
    left_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, deal_id) references deals (tenant_id, id) on delete cascade,
    foreign key (tenant_id, stage_id) references stages (tenant_id, id)
);
create index deal_stage_visits_deal on deal_stage_visits (tenant_id, deal_id, entered_at);

create table activities (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    title text not null,
    type_id {uuid},
    due_at {time},
    ends_at {time},
    reminder_minutes bigint,
    note text,
    owner_id {uuid},
    completed {bool} not null,
    completed_at {time},
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, type_id) references activity_types (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);
create index activities_newest on activities (tenant_id, created_at desc, id desc) where deleted_at is null;
create index activities_trash on activities (deleted_at) where deleted_at is not null;
create index activities_type_id on activities (tenant_id, type_id) where type_id is not null;
create index activities_owner_id on activities (tenant_id, owner_id) where owner_id is not null;
create index activities_due on activities (tenant_id, due_at, id) where deleted_at is null;

create table activity_contacts (
    tenant_id {uuid} not null,
    activity_id {uuid} not null,
    contact_id {uuid} not null,
    primary key (tenant_id, activity_id, contact_id),
    foreign key (tenant_id, activity_id) references activities (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index activity_contacts_contact_id on activity_contacts (tenant_id, contact_id);

create table activity_companies (
    tenant_id {uuid} not null,
    activity_id {uuid} not null,
    company_id {uuid} not null,
    primary key (tenant_id, activity_id, company_id),
    foreign key (tenant_id, activity_id) references activities (tenant_id, id) on delete cascade,
    foreign key (tenant_id, company_id) references companies (tenant_id, id) on delete cascade
);
create index activity_companies_company_id on activity_companies (tenant_id, company_id);

create table activity_deals (
    tenant_id {uuid} not null,
    activity_id {uuid} not null,
    deal_id {uuid} not null,
    primary key (tenant_id, activity_id, deal_id),
    foreign key (tenant_id, activity_id) references activities (tenant_id, id) on delete cascade,
    foreign key (tenant_id, deal_id) references deals (tenant_id, id) on delete cascade
);
create index activity_deals_deal_id on activity_deals (tenant_id, deal_id);

create table activity_guests (
    tenant_id {uuid} not null,
    activity_id {uuid} not null,
    user_id {uuid} not null,
    primary key (tenant_id, activity_id, user_id),
    foreign key (tenant_id, activity_id) references activities (tenant_id, id) on delete cascade,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index activity_guests_user_id on activity_guests (tenant_id, user_id);

create table notes (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    body text not null,
    owner_id {uuid},
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);
create index notes_newest on notes (tenant_id, created_at desc, id desc) where deleted_at is null;
create index notes_trash on notes (deleted_at) where deleted_at is not null;
create index notes_owner_id on notes (tenant_id, owner_id) where owner_id is not null;

create table note_contacts (
    tenant_id {uuid} not null,
    note_id {uuid} not null,
    contact_id {uuid} not null,
    primary key (tenant_id, note_id, contact_id),
    foreign key (tenant_id, note_id) references notes (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index note_contacts_contact_id on note_contacts (tenant_id, contact_id);

create table note_companies (
    tenant_id {uuid} not null,
    note_id {uuid} not null,
    company_id {uuid} not null,
    primary key (tenant_id, note_id, company_id),
    foreign key (tenant_id, note_id) references notes (tenant_id, id) on delete cascade,
    foreign key (tenant_id, company_id) references companies (tenant_id, id) on delete cascade
);
create index note_companies_company_id on note_companies (tenant_id, company_id);

create table note_deals (
    tenant_id {uuid} not null,
    note_id {uuid} not null,
    deal_id {uuid} not null,
    primary key (tenant_id, note_id, deal_id),
    foreign key (tenant_id, note_id) references notes (tenant_id, id) on delete cascade,
    foreign key (tenant_id, deal_id) references deals (tenant_id, id) on delete cascade
);
create index note_deals_deal_id on note_deals (tenant_id, deal_id);

create table calls (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    number text,
    direction text not null,
    outcome_id {uuid},
    started_at {time} not null,
    seconds bigint,
    note text,
    owner_id {uuid},
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id),
    foreign key (tenant_id, outcome_id) references call_outcomes (tenant_id, id),
    foreign key (tenant_id, owner_id) references users (tenant_id, id)
);
create index calls_newest on calls (tenant_id, created_at desc, id desc) where deleted_at is null;
create index calls_trash on calls (deleted_at) where deleted_at is not null;
create index calls_outcome_id on calls (tenant_id, outcome_id) where outcome_id is not null;
create index calls_owner_id on calls (tenant_id, owner_id) where owner_id is not null;

create table call_contacts (
    tenant_id {uuid} not null,
    call_id {uuid} not null,
    contact_id {uuid} not null,
    primary key (tenant_id, call_id, contact_id),
    foreign key (tenant_id, call_id) references calls (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index call_contacts_contact_id on call_contacts (tenant_id, contact_id);

create table call_companies (
    tenant_id {uuid} not null,
    call_id {uuid} not null,
    company_id {uuid} not null,
    primary key (tenant_id, call_id, company_id),
    foreign key (tenant_id, call_id) references calls (tenant_id, id) on delete cascade,
    foreign key (tenant_id, company_id) references companies (tenant_id, id) on delete cascade
);
create index call_companies_company_id on call_companies (tenant_id, company_id);

create table call_deals (
    tenant_id {uuid} not null,
    call_id {uuid} not null,
    deal_id {uuid} not null,
    primary key (tenant_id, call_id, deal_id),
    foreign key (tenant_id, call_id) references calls (tenant_id, id) on delete cascade,
    foreign key (tenant_id, deal_id) references deals (tenant_id, id) on delete cascade
);
create index call_deals_deal_id on call_deals (tenant_id, deal_id);

-- Money is in hundredths, the tax rate in thousandths of a percent.
create table products (
    id {uuid} primary key,
    tenant_id {uuid} not null references tenants (id),
    name text not null,
    sku text,
    price bigint,
    cost bigint,
    currency text not null,
    unit text,
    tax_rate bigint,
    active {bool} not null,
    description text,
    version bigint not null default 1,
    created_at {time} not null default {now},
    updated_at {time} not null default {now},
    deleted_at {time},
    unique (tenant_id, id)
);
create index products_newest on products (tenant_id, created_at desc, id desc) where deleted_at is null;
create index products_trash on products (deleted_at) where deleted_at is not null;
create unique index products_sku on products (tenant_id, {fold(sku)}) where deleted_at is null;

-- The orders in which lists are asked for most.
create index calls_started on calls (tenant_id, started_at desc, id desc) where deleted_at is null;
--pg create index products_sorted on products (tenant_id, ({fold(name)} collate "C"), id) where deleted_at is null;
--lite create index products_sorted on products (tenant_id, {fold(name)}, id) where deleted_at is null;
create index contacts_source_id on contacts (tenant_id, source_id) where source_id is not null;
create index deal_stage_visits_stage on deal_stage_visits (tenant_id, stage_id);
create index events_newest on events (tenant_id, seq);
