//! Finding records by words: in one list and everywhere, whatever is written meanwhile.

use domain::{
    entities::Role,
    payloads::RebuildSearch,
    resource::{
        Action, Resource,
        field::{Field, Kind},
        registry,
    },
};
use jobs::{NewJob, queue};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    database, on_both_databases,
    records::{Maker, path},
};
use uuid::Uuid;

/// The ids of the records that have the words.
async fn found(app: &TestApp, who: &Person, resource: &Resource, words: &str, trashed: bool) -> Vec<String> {
    let body = json!({ "q": words, "limit": 200, "trashed": trashed.then_some("only") });
    let page = app.post(who, &format!("{}/query", path(resource)), body).await.is(200);
    page.json["data"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// What is found everywhere, as `topic label` each.
async fn everywhere(app: &TestApp, who: &Person, query: &[(&str, &str)]) -> Vec<String> {
    let request = app.request(reqwest::Method::GET, "/api/search").query(query).bearer_auth(&who.token);
    let hits = app.send(request).await.is(200);
    let text = |hit: &Value, name: &str| hit[name].as_str().unwrap().to_owned();
    hits.json["data"].as_array().unwrap().iter().map(|hit| format!("{} {}", text(hit, "topic"), text(hit, "label"))).collect()
}

/// What a value of a searched field says.
fn said(field: &Field, value: &Value) -> String {
    match field.kind {
        Kind::Rows(rows) => value[0][rows.fields[0].name].as_str().unwrap().to_owned(),
        _ => value.as_str().unwrap().to_owned(),
    }
}

/// The rows of the index.
async fn rows(app: &TestApp) -> Vec<String> {
    let all = "select topic || ' ' || field || ':' || text as row from search_texts order by topic, record_id, field";
    let rows = app.database.db.read.query_all_raw(Statement::from_string(app.database.db.backend(), all)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "row").unwrap()).collect()
}

async fn rebuild(app: &TestApp) {
    let tx = app.ledger.begin().await.unwrap();
    tx.enqueue(NewJob::new(Uuid::nil(), &RebuildSearch { topic: None, after: None })).await.unwrap();
    tx.commit().await.unwrap();
    app.work(queue::MAINTENANCE).await;
}

on_both_databases! {
    async fn every_record_is_found_by_what_it_says(kind: Kind) {
        let app = app(kind).await;
        for resource in registry::all().iter().filter(|resource| resource.made) {
            let ana = app.person(resource.topic, Role::Admin).await;
            let mut maker = Maker::new(&app, &ana);
            if resource.topic == "brands" {
                maker.some("brands").await; // the default, which can't be deleted
            }
            let searched: Vec<&Field> = resource.fields.iter().filter(|field| field.searched).collect();
            let mut body = maker.body(resource, 100, true).await;
            for (at, field) in searched.iter().enumerate() {
                body[field.name] = maker.value(resource, field, 105 + 5 * at).await;
            }
            let made = app.post(&ana, &path(resource), body).await.is(201);
            let (id, one) = (made.id(), format!("{}/{}", path(resource), made.id()));
            for (at, field) in searched.iter().enumerate() {
                let before = said(field, &made.json[field.name]);
                assert_eq!(found(&app, &ana, resource, &before, false).await, std::slice::from_ref(&id), "{} by {before}", resource.topic);
                if resource.writable(Action::Update).any(|one| one.name == field.name) {
                    let value = maker.value(resource, field, 305 + 5 * at).await;
                    let after = said(field, &app.patch(&ana, &one, json!({ field.name: value })).await.is(200).json[field.name]);
                    assert_eq!(found(&app, &ana, resource, &before, false).await, [] as [String; 0], "{} by {before}", resource.topic);
                    assert_eq!(found(&app, &ana, resource, &after, false).await, std::slice::from_ref(&id), "{} by {after}", resource.topic);
                }
                if !field.required && resource.writable(Action::Update).any(|one| one.name == field.name) {
                    let words = said(field, &app.get(&ana, &one).await.json[field.name]);
                    let _ = app.patch(&ana, &one, json!({ field.name: null })).await.is(200);
                    assert_eq!(found(&app, &ana, resource, &words, false).await, [] as [String; 0], "{} by {words}", resource.topic);
                }
            }
            let needed = searched.iter().find(|field| field.required || !resource.writable(Action::Update).any(|one| one.name == field.name));
            if let Some(field) = needed {
                let words = said(field, &app.get(&ana, &one).await.json[field.name]);
                let _ = app.delete(&ana, &one).await.is(204);
                assert_eq!(found(&app, &ana, resource, &words, false).await, [] as [String; 0]);
                assert_eq!(found(&app, &ana, resource, &words, true).await, std::slice::from_ref(&id));
            }
            let _ = app.delete(&ana, &format!("{one}?force=true")).await.is(204);
            let left = format!("select 1 from search_texts where topic = '{}' and not exists (select 1 from {} r where r.id = record_id)", resource.topic, resource.topic);
            let left = app.database.db.read.query_all_raw(Statement::from_string(app.database.db.backend(), left)).await.unwrap();
            assert!(left.is_empty(), "{} leave something behind", resource.topic);
        }
        app.finish().await;
    }

    async fn words_are_found_in_any_spelling(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let contacts = registry::named("contacts");
        let make = async |body: Value| app.post(&ana, "/api/contacts", body).await.is(201).id();
        let souza = make(json!({
            "first_name": "Ána", "last_name": "de Souza-Lima", "emails": [{ "email": "ana.souza@example.com" }],
            "phones": [{ "number": "+55 11 98765-4321" }, { "number": "+1 650 555 1234" }],
        })).await;
        let odd = make(json!({ "first_name": "50%_ off", "last_name": r#"\ "quoted" 'too' OR NOT * -"# })).await;
        for (words, both) in [
            ("ana", [true, false]), ("ÁNA  souza", [true, false]), ("souza áNa", [true, false]), ("uza-li", [true, false]),
            ("d", [true, false]), ("so", [true, false]), ("uz", [false, false]), ("a", [true, false]), ("o", [false, true]),
            ("(11) 98765-4321", [true, false]), ("98765 4321", [true, false]), ("98765-4321", [true, false]), ("987654321", [true, false]),
            ("+55 11 98765 4321", [true, false]), ("+55 11", [true, false]), ("55 (11) 8765-4321", [true, false]), ("011 98765.4321", [true, false]),
            ("8765 4321", [true, false]), ("4321", [true, false]), ("+1 (650) 555-1234", [true, false]), ("ana 98765 4321 souza", [true, false]),
            ("98765 1234", [true, false]), ("98765 9999", [false, false]), ("ana 12345", [false, false]),
            ("ana.souza@example.com", [true, false]), ("@EXAMPLE.com", [true, false]), ("souza@exam", [true, false]),
            ("50%_", [false, true]), ("%", [false, false]), ("0%_", [false, true]), ("_ff", [false, false]), ("5_%", [false, false]),
            (r"\", [false, true]), (r#""quoted""#, [false, true]), ("'too'", [false, true]), ("*", [false, true]), ("-", [false, true]),
            ("or", [false, true]), ("ana OR off", [false, false]), ("not", [false, true]), (r#"a" OR "b"#, [false, false]), ("off*", [false, false]),
            (" \t ", [true, true]),
        ] {
            let hits = found(&app, &ana, contacts, words, false).await;
            assert_eq!([&souza, &odd].map(|id| hits.contains(id)), both, "{words}");
        }
        app.finish().await;
    }

    async fn what_is_hidden_finds_nothing(kind: Kind) {
        let app = app(kind).await;
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let role = json!({
            "name": "Blind", "user_ids": [rui.id], "hidden": { "contacts": ["phones", "last_name", "custom"] },
            "grants": { "contacts": { "view": "own" } },
        });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        let field = json!({ "topic": "contacts", "key": "shoe", "name": "Shoe", "kind": "text" });
        let field = app.post(&ana, "/api/custom-fields", field).await.is(201).id();
        let contact = |name: &str, owner: &Person| json!({
            "first_name": name, "last_name": "Silva", "owner_id": owner.id, "phones": [{ "number": "+5511987654321" }], "custom": { "shoe": "Moccasin" },
        });
        let _ = app.post(&ana, "/api/contacts", contact("Bia", &rui)).await.is(201);
        let _ = app.post(&ana, "/api/contacts", contact("Bento", &ana)).await.is(201);
        let eva = app.person("outra", Role::Admin).await;
        let contacts = registry::named("contacts");
        for (words, admin, member) in [("silva", 2, 0), ("98765", 2, 0), ("moccasin", 2, 0), ("bia", 1, 1), ("b", 2, 1), ("bia silva", 1, 0)] {
            let query = [("q", words), ("topics", "contacts")];
            for (who, wanted) in [(&ana, admin), (&rui, member), (&eva, 0)] {
                assert_eq!(found(&app, who, contacts, words, false).await.len(), wanted, "{words}");
                assert_eq!(everywhere(&app, who, &query).await.len(), wanted, "{words} everywhere");
            }
        }
        assert_eq!(everywhere(&app, &rui, &[("q", "b")]).await, ["contacts Bia"], "a hidden name is not in the label either");
        let ask = async |who: &Person, query: &str| app.get(who, &format!("/api/search?{query}")).await;
        ask(&rui, "q=b&topics=contacts,deals").await.fails(403, "forbidden");
        ask(&ana, "q=b&topics=ghosts").await.faults(&[("/topics", "invalid")]);
        ask(&ana, "q=").await.fails(422, "invalid");
        let bia = app.person("loja", Role::Member).await;
        ask(&bia, "q=b").await.fails(403, "forbidden");

        // In the trash and out of it, then for good.
        let one = format!("/api/custom-fields/{field}");
        assert_eq!(app.delete(&ana, &one).await.status, 204);
        assert_eq!(found(&app, &ana, contacts, "moccasin", false).await.len(), 0);
        let _ = app.ask(&ana, &format!("{one}/restore")).await.is(200);
        assert_eq!(found(&app, &ana, contacts, "moccasin", false).await.len(), 2);
        assert_eq!(app.delete(&ana, &format!("{one}?force=true")).await.status, 204);
        assert!(rows(&app).await.iter().all(|row| !row.contains("moccasin")));
        app.finish().await;
    }

    async fn fields_of_the_company_are_found_by_their_words(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let contacts = registry::named("contacts");
        for kind in domain::resource::custom::KINDS {
            let chosen = ["select", "radio", "multiselect", "checkbox"].contains(kind);
            let options = if chosen { json!([{ "value": "Blue Sky" }, { "value": "Red" }]) } else { json!([]) };
            let field = json!({ "topic": "contacts", "key": format!("f_{kind}"), "name": kind, "kind": kind, "options": options });
            let _ = app.post(&ana, "/api/custom-fields", field).await.is(201);
        }
        let custom = json!({
            "f_text": "Jacarandá", "f_textarea": "uma linha\noutra", "f_email": "x@Quintal.example", "f_url": "https://example.com/jardim",
            "f_domain": "varanda.example", "f_phone": "+5521912345678", "f_select": "Red", "f_multiselect": ["Blue Sky", "Red"],
            "f_timezone": "America/Sao_Paulo", "f_country": "DE", "f_date": "2031-07-09", "f_user": ana.id,
        });
        let made = app.post(&ana, "/api/contacts", json!({ "first_name": "Bia", "custom": custom })).await.is(201);
        for words in ["jacaranda", "outra uma", "quintal", "jardim", "varanda", "21 91234-5678", "sky blue", "red", "bia jacaranda"] {
            assert_eq!(found(&app, &ana, contacts, words, false).await, [made.id()], "{words}");
        }
        for words in ["2031-07-09", "America", &ana.id.to_string()[..8], "de"] {
            assert_eq!(found(&app, &ana, contacts, words, false).await, [] as [String; 0], "{words}");
        }
        let one = format!("/api/contacts/{}", made.id());
        let _ = app.patch(&ana, &one, json!({ "custom": { "f_text": "Ipê", "f_select": null } })).await.is(200);
        let count = async |words: &str| found(&app, &ana, contacts, words, false).await.len();
        assert_eq!((count("jacaranda").await, count("ipê").await, count("outra").await), (0, 1, 1));
        let _ = app.patch(&ana, &one, json!({ "custom": null })).await.is(200);
        assert_eq!((count("ipê").await, count("outra").await, count("bia").await), (0, 0, 1));
        app.finish().await;
    }

    async fn the_best_comes_first_everywhere(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let make = async |topic: &str, body: Value| app.post(&ana, &format!("/api/{topic}"), body).await.is(201).id();
        let company = make("companies", json!({ "name": "Casa Zabumba" })).await;
        let _ = make("notes", json!({ "body": format!("{} a Zabumba ligou {}", "antes ".repeat(40), "depois ".repeat(40)) })).await;
        let _ = make("contacts", json!({ "first_name": "Rita", "last_name": "Zabumba" })).await;
        let _ = make("contacts", json!({ "first_name": "Leo", "emails": [{ "email": "leo@zabumba.example" }] })).await;
        let first = make("contacts", json!({ "first_name": "Zabumbinha", "phones": [{ "number": "+5511912345678" }] })).await;
        let second = make("products", json!({ "name": "Zabumba 18 pol." })).await;
        assert_eq!(
            everywhere(&app, &ana, &[("q", "zabumb")]).await.iter().map(|hit| hit.split("antes").next().unwrap()).collect::<Vec<_>>(),
            ["products Zabumba 18 pol.", "contacts Zabumbinha", "contacts Rita Zabumba", "companies Casa Zabumba", "contacts Leo", "notes "],
        );
        assert_eq!(everywhere(&app, &ana, &[("q", "ZABUMB rita")]).await, ["contacts Rita Zabumba"]);
        assert_eq!(everywhere(&app, &ana, &[("q", "zabumb"), ("limit", "1")]).await, ["products Zabumba 18 pol."]);
        assert_eq!(everywhere(&app, &ana, &[("q", "zabumb"), ("topics", "contacts, companies,contacts"), ("limit", "2")]).await, ["contacts Zabumbinha", "contacts Rita Zabumba"]);
        assert_eq!(everywhere(&app, &ana, &[("q", "11 91234 5678")]).await, ["contacts Zabumbinha"]);
        assert_eq!(everywhere(&app, &ana, &[("q", "98 7654")]).await, [] as [&str; 0]);

        let hits = app.get(&ana, "/api/search?q=zabumb").await.is(200).json["data"].clone();
        assert_eq!(hits[0], json!({ "topic": "products", "id": second, "label": "Zabumba 18 pol.", "field": "name", "text": "Zabumba 18 pol." }));
        assert_eq!((&hits[1]["id"], &hits[2]["field"], &hits[4]["field"], &hits[4]["text"]), (&json!(first), &json!("last_name"), &json!("emails"), &json!("leo@zabumba.example")));
        let text = hits[5]["text"].as_str().unwrap();
        assert!(text.starts_with('…') && text.contains("a Zabumba ligou") && text.ends_with('…') && text.chars().count() <= 162, "{text}");
        let phone = app.get(&ana, "/api/search?q=91234-56").await.is(200).json["data"][0].clone();
        assert_eq!((&phone["field"], &phone["text"]), (&json!("phones"), &json!("+5511912345678")));
        assert_eq!(app.delete(&ana, &format!("/api/companies/{company}")).await.status, 204);
        assert_eq!(everywhere(&app, &ana, &[("q", "casa")]).await, [] as [&str; 0], "what is in the trash is not found");
        app.finish().await;
    }

    async fn the_index_is_made_of_what_is_there(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let eva = app.person("outra", Role::Admin).await;
        let field = json!({ "topic": "contacts", "key": "shoe", "name": "Shoe", "kind": "text" });
        let _ = app.post(&ana, "/api/custom-fields", field).await.is(201);
        for n in 0..230 {
            let body = json!({ "first_name": format!("Bia {n}"), "phones": [{ "number": format!("+5511987{:06}", n) }], "custom": { "shoe": format!("Moccasin {n}") } });
            let _ = app.post(&ana, "/api/contacts", body).await.is(201);
        }
        let mut maker = Maker::new(&app, &eva);
        for resource in registry::all().iter().filter(|resource| resource.made) {
            maker.some(resource.topic).await;
        }
        rebuild(&app).await; // the people of a test are in no index
        let whole = rows(&app).await;
        assert!(whole.len() > 3 * 230, "{}", whole.len());

        app.execute("delete from search_texts where topic <> 'contacts' or text like '%7%'").await;
        app.execute("update search_texts set text = '  nonsense' where text like '%bia  3%'").await;
        let some = "select id from contacts limit 1";
        app.execute(&format!("insert into search_texts (tenant_id, topic, record_id, field, text) select tenant_id, 'contacts', ({some}), 'ghost', '  boo' from search_texts limit 1")).await;
        app.execute("insert into search_texts (tenant_id, topic, record_id, field, text) select id, 'deals', id, 'name', '  boo' from tenants").await;
        rebuild(&app).await;
        assert_eq!(rows(&app).await, whole);
        rebuild(&app).await;
        assert_eq!(rows(&app).await, whole);
        assert_eq!(found(&app, &ana, registry::named("contacts"), "moccasin 229", false).await.len(), 1);
        assert_eq!(found(&app, &ana, registry::named("contacts"), "nonsense", false).await.len(), 0);
        app.finish().await;
    }

    async fn records_from_before_the_index_get_into_it(kind: Kind) {
        let database = database::fresh(kind).await;
        let db = &database.db;
        let position = migration::status(db).await.unwrap().iter().position(|(name, _)| name == "0008_search").unwrap();
        migration::down(db, u32::try_from(migration::count() - position).unwrap()).await.unwrap();
        let waiting = async || db.read.query_all_raw(Statement::from_string(db.backend(), "select id from jobs where kind = 'search.rebuild'")).await.unwrap();
        migration::up(db).await.unwrap();
        assert_eq!(waiting().await.len(), 0, "there is nobody yet");
        migration::down(db, u32::try_from(migration::count() - position).unwrap()).await.unwrap();
        let id = if db.is_sqlite() { "x'0192f0c0000070008000000000000001'" } else { "'0192f0c0-0000-7000-8000-000000000001'" };
        db.write.execute_unprepared(&format!("insert into tenants (id, name, slug) values ({id}, 'Loja', 'loja')")).await.unwrap();
        migration::up(db).await.unwrap();
        assert_eq!(waiting().await.len(), 1);
        let ledger = jobs::Ledger::new(db.clone(), jobs::Wake::local());
        let job = jobs::testing::assert_enqueued(&ledger, "search.rebuild").await;
        assert_eq!((job.queue.as_str(), job.tenant_id), ("maintenance", Uuid::nil()));
    }
}
