//! The operations of all resources: [`crud`], [`bulk`], [`import`], [`export`], [`merge`], [`collaboration`] and [`attachments`] have each once, for a resource that
//! has no name; here every resource gets its own, with its own schemas, paths, operation ids and sentences. An operation that a
//! resource has no use for is not there.

mod answers;
mod attachments;
mod bulk;
mod collaboration;
mod crud;
mod export;
mod import;
mod merge;
mod record;
mod schema;

use std::{collections::HashMap, sync::Arc};

use domain::{
    collaboration::TOPICS,
    resource::{
        Resource,
        field::{Field, Kind},
        registry,
    },
};
use jobs::Ledger;
use object_store::ObjectStore;
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, MetaOperation, MetaPath, MetaSchemaRef, MetaTag, Registry},
};

use attachments::Attachments;
use bulk::Bulk;
use collaboration::Collaboration;
use crud::Crud;
pub(crate) use crud::{etag, read_filter, version};
use export::Exports;
use import::Imports;
use merge::Merges;
pub(crate) use record::{records, tag};
pub(crate) use schema::{register, register_only};

/// The operations of every resource.
pub(crate) struct Resources {
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl OpenApi for Resources {
    fn meta() -> Vec<MetaApi> {
        let all = || {
            Crud::meta()
                .into_iter()
                .chain(Bulk::meta())
                .chain(Imports::meta())
                .chain(Exports::meta())
                .chain(Merges::meta())
                .chain(Collaboration::meta())
                .chain(Attachments::meta())
        };
        registry::all().iter().flat_map(|resource| all().map(move |api| named(resource, api))).collect()
    }

    fn register(registry: &mut Registry) {
        Crud::register(registry);
        Bulk::register(registry);
        Imports::register(registry);
        Exports::register(registry);
        Merges::register(registry);
        Collaboration::register(registry);
        Attachments::register(registry);
        for name in schema::PLACEHOLDERS {
            registry.schemas.remove(name);
        }
        for resource in registry::all() {
            schema::register(resource, registry);
            registry.tags.insert(MetaTag { name: topic(resource), description: Some(resource.doc), external_docs: None });
        }
    }

    fn add_routes(self, table: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        for resource in registry::all() {
            let mut own = HashMap::new();
            Crud { ledger: self.ledger.clone(), resource }.add_routes(&mut own);
            Bulk { ledger: self.ledger.clone(), resource }.add_routes(&mut own);
            Exports { ledger: self.ledger.clone(), resource }.add_routes(&mut own);
            Merges { ledger: self.ledger.clone(), resource }.add_routes(&mut own);
            Imports { ledger: self.ledger.clone(), store: self.store.clone(), resource }.add_routes(&mut own);
            Collaboration { ledger: self.ledger.clone(), resource }.add_routes(&mut own);
            Attachments { ledger: self.ledger.clone(), store: self.store.clone(), resource }.add_routes(&mut own);
            for (path, methods) in own {
                let full = format!("{}{}", prefix(resource), path.trim_end_matches('/'));
                let kept: Vec<_> = methods.into_iter().filter(|(method, _)| has(resource, method, &path)).collect();
                if !kept.is_empty() {
                    table.entry(full).or_default().extend(kept);
                }
            }
        }
    }
}

/// Whether a resource has the operation.
fn has(resource: &Resource, method: &Method, path: &str) -> bool {
    let any = |test: fn(&Field) -> bool| resource.fields.iter().any(test);
    let shape = shape(path);
    match shape.as_str() {
        "/by/*/*" => resource.made && any(|field| field.unique),
        "/bulk" | "/import" => resource.bulk,
        "/duplicates" | "/duplicates/dismiss" | "/merge" => resource.merging.is_some(),
        "/*/restore" | "/*/clone" => resource.made,
        "/*/tags" => any(|field| field.kind == Kind::Tags),
        "/*/links/*/*" => any(|field| matches!(field.kind, Kind::References { .. })),
        _ if ["/*/comments", "/*/followers", "/*/attachments"].iter().any(|around| shape.starts_with(around)) => {
            TOPICS.contains(&resource.topic)
        }
        "/" => *method == Method::GET || resource.made,
        "/*" => *method != Method::DELETE || resource.made,
        _ => true,
    }
}

/// A path with a star for each parameter: its document and its routes call them by different names.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with([':', '{']) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// Where a resource is: its topic, with hyphens.
fn prefix(resource: &Resource) -> String {
    format!("/{}", resource.topic.replace('_', "-"))
}

fn topic(resource: &Resource) -> &'static str {
    leak(resource.topic.replace('_', " "))
}

/// poem-openapi wants texts that never end. The document is made a few times in a process's life.
fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn named(resource: &Resource, api: MetaApi) -> MetaApi {
    let mut paths = Vec::new();
    for MetaPath { path, operations } in api.paths {
        let kept = operations.into_iter().filter(|operation| has(resource, &operation.method, &path));
        let operations: Vec<_> = kept.map(|operation| own(resource, operation)).collect();
        if !operations.is_empty() {
            paths.push(MetaPath { path: format!("{}{}", prefix(resource), path.trim_end_matches('/')), operations });
        }
    }
    MetaApi { paths }
}

fn own(resource: &Resource, mut operation: MetaOperation) -> MetaOperation {
    let verb = operation.operation_id.unwrap_or_default();
    let words = |text: &str| leak(text.replace("{one}", resource.name).replace("{many}", &resource.topic.replace('_', " ")));
    operation.operation_id = Some(leak(format!("{}_{verb}", resource.topic)));
    operation.summary = operation.summary.map(words);
    operation.description = operation.description.map(words);
    operation.tags = vec![topic(resource)];
    for parameter in &mut operation.params {
        parameter.description = parameter.description.as_deref().map(|text| words(text).to_owned());
    }
    let bodies = operation.request.iter_mut().flat_map(|request| &mut request.content);
    let answers = operation.responses.responses.iter_mut().flat_map(|response| &mut response.content);
    for media in bodies.chain(answers) {
        if let MetaSchemaRef::Reference(name) = &mut media.schema
            && let Some(rest) = name.strip_prefix(schema::PLACEHOLDER)
        {
            *name = format!("{}{rest}", resource.schema);
        }
    }
    operation
}
