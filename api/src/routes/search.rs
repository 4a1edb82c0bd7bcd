use domain::resource::search::everywhere::{self, Hit};
use jobs::Ledger;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use uuid::Uuid;

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Search {
    pub(crate) ledger: Ledger,
}

/// A record that was found.
#[derive(Object)]
#[oai(rename = "SearchHit")]
struct HitOut {
    /// Of which resource, e.g. `contacts`.
    topic: String,
    /// Its id.
    id: Uuid,
    /// What it is called.
    label: String,
    /// Which of its fields has the first of the words, e.g. `phones`, or `custom.` and a key.
    field: String,
    /// What that field says around it.
    text: String,
}

impl From<Hit> for HitOut {
    fn from(Hit { topic, id, label, field, text }: Hit) -> Self {
        Self { topic: topic.to_owned(), id, label, field, text }
    }
}

/// What was found.
#[derive(Object)]
struct SearchHits {
    /// The best first.
    data: Vec<HitOut>,
}

#[OpenApi(tag = "Tag::Search")]
impl Search {
    /// Find records of all resources by words.
    ///
    /// Each has all of the words, in whichever of the fields that you get to see; words of one or two letters begin a word
    /// there. Phone numbers are found in any spelling. First come those whose name begins with the first word, then those whose
    /// name has it, then the others; newer ones first.
    #[oai(path = "/search", method = "get", operation_id = "search")]
    async fn search(
        &self,
        caller: Caller,
        /// The words, without case and accents; at most eight count.
        #[oai(validator(min_length = 1, max_length = 200))]
        q: Query<String>,
        /// Only in these resources, with commas between them; in all that you may see when it is left out.
        #[oai(validator(max_length = 300))]
        topics: Query<Option<String>>,
        /// How many, 1 to 100; 20 when it is left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u64>>,
    ) -> Answer<Json<SearchHits>> {
        let topics = topics.0.unwrap_or_default();
        let topics: Vec<String> = topics.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
        let hits = everywhere::search(self.ledger.db(), &caller.scope(), &q.0, &topics, limit.0.unwrap_or(20)).await?;
        Ok(Json(SearchHits { data: hits.into_iter().map(HitOut::from).collect() }))
    }
}
