//! A calendar that becomes jobs.

use sea_orm::entity::prelude::*;

use crate::{CatchUp, ScheduleId, TenantId};

/// A calendar that becomes jobs.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ScheduleId,
    pub tenant_id: Option<TenantId>,
    pub name: String,
    pub kind: String,
    pub payload: Json,
    pub cron: String,
    pub time_zone: String,
    pub catch_up: CatchUp,
    pub next_at: DateTimeUtc,
    pub last_at: Option<DateTimeUtc>,
    pub enabled: bool,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
