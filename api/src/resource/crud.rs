//! Every operation on a resource, once.

use domain::{
    Error, audit,
    resource::{
        Record, Resource, custom,
        list::{self, Count, Listed, Trashed, Wanted},
        transact,
    },
};
use jobs::Ledger;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    answers::{CountWanted, FieldInfo, Fields, Gone, ListQuery, Made, Read, Saved, TagChange, TrashedWanted, Upserted},
    schema::{Create, Page, Shown, Update},
};
use crate::{guard::Caller, paging, problem::Answer, routes::EventPage, written::Written};

/// A [`Page`], to be written.
#[derive(Serialize)]
struct Paged {
    data: Vec<Record>,
    page: Value,
}

/// The operations of one resource.
pub(super) struct Crud {
    pub(super) ledger: Ledger,
    pub(super) resource: &'static Resource,
}

pub(crate) fn etag(record: &Record) -> String {
    format!("\"{}\"", record.get("version").and_then(Value::as_i64).unwrap_or(0))
}

/// A filter, as an address has it.
pub(crate) fn read_filter(filter: Option<String>) -> Result<Option<Value>, Error> {
    filter.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| Error::field("/filter", "invalid", "is not JSON"))
}

/// The version of an `If-Match`; none for `*`.
pub(crate) fn version(tag: Option<&str>) -> Result<Option<i64>, Error> {
    match tag.map(str::trim) {
        None | Some("*") => Ok(None),
        Some(tag) => {
            let version = tag.trim_start_matches("W/").trim_matches('"').parse().ok();
            version.map(Some).ok_or_else(|| Error::field("/If-Match", "invalid", "takes the ETag of the record, such as \"3\""))
        }
    }
}

fn names(list: Option<Vec<String>>) -> Vec<Value> {
    list.into_iter().flatten().map(Value::String).collect()
}

fn words(list: Option<String>) -> Vec<String> {
    let list = list.unwrap_or_default();
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Crud {
    async fn page(&self, caller: &Caller, query: ListQuery) -> Answer<Written<Page>> {
        let ListQuery { filter, view_id, q, sort, include, fields, trashed, count, limit, cursor } = query;
        let wanted = Wanted {
            filter,
            view: view_id,
            q,
            sort,
            include: include.unwrap_or_default(),
            fields: fields.filter(|list| !list.is_empty()),
            trashed: match trashed {
                None => Trashed::Without,
                Some(TrashedWanted::With) => Trashed::With,
                Some(TrashedWanted::Only) => Trashed::Only,
            },
            count: match count {
                None | Some(CountWanted::None) => Count::None,
                Some(CountWanted::Estimate) => Count::Estimate,
                Some(CountWanted::Exact) => Count::Exact,
            },
            limit: limit.unwrap_or(25),
            cursor,
        };
        let Listed { data, next_cursor, total } = list::list(self.ledger.db(), &caller.scope(), self.resource, wanted).await?;
        let mut page = json!({ "next_cursor": next_cursor });
        if let Some(total) = total {
            page["total"] = json!(total);
        }
        Ok(Written::of(&Paged { data, page }))
    }

    fn saved(record: Record) -> Saved {
        let tag = Some(etag(&record));
        Saved::Saved(Json(Shown(record)), tag)
    }

    fn made(record: Record) -> Made {
        let tag = Some(etag(&record));
        Made::Made(Json(Shown(record)), tag)
    }
}

#[OpenApi]
impl Crud {
    /// A page of {many}.
    #[oai(path = "/", method = "get", operation_id = "list")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the address")]
    async fn list(
        &self,
        caller: Caller,
        /// A filter as JSON: a comparison `{"field","op","value"}`, or several under `and` or `or`.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
        /// A saved view of {many}: only its records, in its order where you ask for none.
        view_id: Query<Option<Uuid>>,
        /// Words that have to be in the searched fields, without case and accents; one of one or two letters begins a word there.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// The order: fields with commas between them, a minus for the other way.
        #[oai(validator(max_length = 200))]
        sort: Query<Option<String>>,
        /// Relations whose records are wanted with each, with commas between them.
        #[oai(validator(max_length = 200))]
        include: Query<Option<String>>,
        /// Only these fields, with commas between them.
        #[oai(validator(max_length = 500))]
        fields: Query<Option<String>>,
        /// Those in the trash.
        trashed: Query<Option<TrashedWanted>>,
        /// Whether to count all of them; that takes time.
        count: Query<Option<CountWanted>>,
        /// How many, 1 to 200; 25 when it is left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended. One that is longer, after texts of many characters, goes into the body of a query.
        #[oai(validator(max_length = 1500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Written<Page>> {
        let query = ListQuery {
            filter: read_filter(filter.0)?,
            view_id: view_id.0,
            q: q.0,
            sort: sort.0,
            include: Some(words(include.0)),
            fields: Some(words(fields.0)).filter(|list| !list.is_empty()),
            trashed: trashed.0,
            count: count.0,
            limit: limit.0,
            cursor: cursor.0,
        };
        self.page(&caller, query).await
    }

    /// A page of {many}, asked for with a body: for filters that are too long for an address.
    #[oai(path = "/query", method = "post", operation_id = "query")]
    async fn query(&self, caller: Caller, body: Json<ListQuery>) -> Answer<Written<Page>> {
        self.page(&caller, body.0).await
    }

    /// The fields of {many}: what they hold, and how lists can use them.
    #[oai(path = "/fields", method = "get", operation_id = "fields")]
    async fn fields(&self, caller: Caller) -> Answer<Json<Fields>> {
        let scope = caller.scope();
        domain::resource::access::see(&scope, self.resource)?;
        let mut data: Vec<FieldInfo> = self.resource.fields.iter().map(FieldInfo::own).collect();
        if custom::TOPICS.contains(&self.resource.topic) && !scope.hides(self.resource, custom::FIELD) {
            let customs = custom::Customs::of(&self.ledger.db().read, scope.tenant.0).await?;
            data.extend(customs.on(self.resource).iter().map(|custom| FieldInfo::added(custom)));
        }
        Ok(Json(Fields { data }))
    }

    /// Make a {one}.
    #[oai(path = "/", method = "post", operation_id = "create")]
    async fn create(&self, caller: Caller, body: Json<Create>) -> Answer<Made> {
        Ok(Self::made(transact::create(&self.ledger, &caller.scope(), self.resource, &body.0.0).await?))
    }

    /// One {one}, in the trash or not.
    #[oai(path = "/:id", method = "get", operation_id = "get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Relations whose records are wanted with it, with commas between them.
        #[oai(validator(max_length = 200))]
        include: Query<Option<String>>,
        /// The ETag that you have: if it is still the same, there is no body.
        #[oai(name = "If-None-Match", validator(max_length = 100))]
        known: Header<Option<String>>,
    ) -> Answer<Read> {
        let record = list::get(self.ledger.db(), &caller.scope(), self.resource, id.0, words(include.0)).await?;
        let tag = etag(&record);
        let same = known.0.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
        Ok(if same { Read::Same } else { Read::Found(Json(Shown(record)), tag) })
    }

    /// Change a {one}: a field that is left out stays, null clears it.
    #[oai(path = "/:id", method = "patch", operation_id = "update")]
    async fn update(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// The ETag that you have read: if somebody has changed it since, nothing is written.
        #[oai(name = "If-Match", validator(max_length = 100))]
        known: Header<Option<String>>,
        body: Json<Update>,
    ) -> Answer<Saved> {
        let version = version(known.0.as_deref())?;
        Ok(Self::saved(transact::update(&self.ledger, &caller.scope(), self.resource, id.0, &body.0.0, version).await?))
    }

    /// Put a {one} into the trash, or delete it for good.
    #[oai(path = "/:id", method = "delete", operation_id = "delete")]
    async fn delete(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// For good.
        force: Query<Option<bool>>,
        /// The ETag that you have read: if somebody has changed it since, nothing is deleted.
        #[oai(name = "If-Match", validator(max_length = 100))]
        known: Header<Option<String>>,
    ) -> Answer<Gone> {
        let version = version(known.0.as_deref())?;
        transact::delete(&self.ledger, &caller.scope(), self.resource, id.0, force.0 == Some(true), version).await?;
        Ok(Gone::Gone)
    }

    /// Take a {one} out of the trash.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore")]
    async fn restore(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
    ) -> Answer<Saved> {
        Ok(Self::saved(transact::restore(&self.ledger, &caller.scope(), self.resource, id.0).await?))
    }

    /// Make another {one} of this one, without what only one may have.
    #[oai(path = "/:id/clone", method = "post", operation_id = "clone")]
    async fn duplicate(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
    ) -> Answer<Made> {
        Ok(Self::made(transact::duplicate(&self.ledger, &caller.scope(), self.resource, id.0).await?))
    }

    /// Change the {one} that has this value in a field that only one may have; make it, if there is none.
    #[oai(path = "/by/:field/:value", method = "put", operation_id = "upsert")]
    async fn upsert(
        &self,
        caller: Caller,
        /// Which field.
        field: Path<String>,
        /// What is in it.
        value: Path<String>,
        body: Json<Update>,
    ) -> Answer<Upserted> {
        let (new, record) = transact::upsert(&self.ledger, &caller.scope(), self.resource, &field.0, &value.0, &body.0.0).await?;
        let tag = Some(etag(&record));
        Ok(if new { Upserted::Made(Json(Shown(record)), tag) } else { Upserted::Changed(Json(Shown(record)), tag) })
    }

    /// What happened to a {one}, newest first.
    #[oai(path = "/:id/timeline", method = "get", operation_id = "timeline")]
    async fn timeline(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<EventPage>> {
        let paging = paging(limit.0, cursor.0);
        let page = audit::timeline(self.ledger.db(), &caller.scope(), self.resource, id.0, paging).await?;
        Ok(Json(page.into()))
    }

    /// Put tags on a {one}, and take tags off it.
    #[oai(path = "/:id/tags", method = "post", operation_id = "tag")]
    async fn tag(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        body: Json<TagChange>,
    ) -> Answer<Saved> {
        let TagChange { add, remove } = body.0;
        let lists = (names(add), names(remove));
        Ok(Self::saved(transact::put(&self.ledger, &caller.scope(), self.resource, id.0, "tags", lists).await?))
    }

    /// Link a {one} with another record.
    #[oai(path = "/:id/links/:relation/:other", method = "put", operation_id = "link")]
    async fn link(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// The field that lists such records, e.g. `contact_ids`.
        relation: Path<String>,
        /// Which other record.
        other: Path<Uuid>,
    ) -> Answer<Saved> {
        Ok(Self::saved(
            transact::put(&self.ledger, &caller.scope(), self.resource, id.0, &relation.0, (vec![json!(other.0)], Vec::new())).await?,
        ))
    }

    /// Take a link off a {one}.
    #[oai(path = "/:id/links/:relation/:other", method = "delete", operation_id = "unlink")]
    async fn unlink(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// The field that lists such records, e.g. `contact_ids`.
        relation: Path<String>,
        /// Which other record.
        other: Path<Uuid>,
    ) -> Answer<Saved> {
        Ok(Self::saved(
            transact::put(&self.ledger, &caller.scope(), self.resource, id.0, &relation.0, (Vec::new(), vec![json!(other.0)])).await?,
        ))
    }
}
