//! The routes, one file for each group.

mod account;
mod activities;
mod audit;
mod auth;
mod bulk;
mod conversations;
mod deals;
mod devices;
mod exports;
pub(crate) mod health;
mod imports;
mod invitations;
mod jobs;
mod media;
mod merges;
mod messages;
mod notifications;
pub(crate) mod realtime;
mod schedules;
mod search;
mod second_factor;
mod settings;
mod statistics;
mod webhook;
mod webhooks;

use std::{collections::HashMap, sync::Arc};

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, Registry},
};

use crate::{Guard, Parts, intake::Intake, resource::Resources};

pub(crate) use audit::EventPage;
pub(crate) use conversations::PageInfo;

/// What happened and happens, and what is done to many records at once.
type Records = (audit::Audit, realtime::Listening, bulk::BulkRuns, imports::Imports, exports::Exports, merges::Merges);

/// Calendars, and what a company and an installation set. A tuple takes only so many groups.
type Planning = (activities::Activities, settings::Settings, schedules::Schedules);

/// Signing in.
type SigningIn = (auth::Auth, second_factor::SecondFactors, account::Account, invitations::Invitations);

type All = (
    SigningIn,
    Records,
    health::Health,
    devices::Devices,
    messages::Messages,
    conversations::Conversations,
    media::Media,
    webhook::Webhook,
    statistics::Statistics,
    jobs::Jobs,
    deals::Deals,
    notifications::Notifications,
    search::Search,
    Planning,
    webhooks::Webhooks,
    Resources,
);

/// Every group.
pub(crate) fn all(parts: &Parts, guard: &Arc<Guard>) -> All {
    let Parts { ledger, transport, sealer, store, public_url, proxies, realtime, .. } = parts;
    (
        (
            auth::Auth {
                ledger: ledger.clone(),
                sealer: sealer.clone(),
                guard: guard.clone(),
                secure: public_url.starts_with("https://"),
                proxies: *proxies,
            },
            second_factor::SecondFactors { ledger: ledger.clone(), sealer: sealer.clone() },
            account::Account { ledger: ledger.clone(), guard: guard.clone() },
            invitations::Invitations { ledger: ledger.clone() },
        ),
        (
            audit::Audit { ledger: ledger.clone() },
            realtime::Listening { realtime: realtime.clone(), guard: guard.clone() },
            bulk::BulkRuns { ledger: ledger.clone() },
            imports::Imports { ledger: ledger.clone(), store: store.clone() },
            exports::Exports { ledger: ledger.clone(), store: store.clone() },
            merges::Merges { ledger: ledger.clone() },
        ),
        health::Health { db: ledger.db().clone(), transport: transport.clone() },
        devices::Devices { ledger: ledger.clone(), sealer: sealer.clone() },
        messages::Messages { ledger: ledger.clone() },
        conversations::Conversations { ledger: ledger.clone() },
        media::Media { ledger: ledger.clone(), store: store.clone() },
        webhook::Webhook { intake: Intake::new(ledger.clone(), sealer.clone()) },
        statistics::Statistics { db: ledger.db().clone() },
        jobs::Jobs { ledger: ledger.clone() },
        deals::Deals { ledger: ledger.clone() },
        notifications::Notifications { ledger: ledger.clone() },
        search::Search { ledger: ledger.clone() },
        (
            activities::Activities { ledger: ledger.clone(), public_url: public_url.clone() },
            settings::Settings { ledger: ledger.clone() },
            schedules::Schedules { ledger: ledger.clone() },
        ),
        webhooks::Webhooks { ledger: ledger.clone(), sealer: sealer.clone() },
        Resources { ledger: ledger.clone(), store: store.clone() },
    )
}

/// The same for the document alone: poem-openapi wants values, and asks nothing of them.
pub(crate) fn documented() -> impl OpenApi {
    struct Documented;
    impl OpenApi for Documented {
        fn meta() -> Vec<MetaApi> {
            All::meta()
        }
        fn register(registry: &mut Registry) {
            All::register(registry);
        }
        fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
    }
    Documented
}
