//! What people do around a record: comments, followers, notifications.

use domain::{collaboration::TOPICS, entities::Role, resource::registry};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    database::Kind,
    on_both_databases,
    records::{Maker, path},
};

/// A shop with an admin, an agent, a viewer, and a member who sees only their own contacts.
struct Shop {
    app: TestApp,
    ana: Person,
    bia: Person,
    vera: Person,
    rui: Person,
}

impl Shop {
    async fn open(kind: Kind) -> Self {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (bia, vera) = (app.person("loja", Role::Agent).await, app.person("loja", Role::Viewer).await);
        let rui = app.person("loja", Role::Member).await;
        let own = json!({ "contacts": { "view": "own", "create": "own", "edit": "own" } });
        let _ = app.post(&ana, "/api/roles", json!({ "name": "Own", "grants": own, "user_ids": [rui.id] })).await.is(201);
        Self { app, ana, bia, vera, rui }
    }

    /// Where a contact of Ana's is.
    async fn contact(&self, owner: &Person) -> String {
        let body = json!({ "first_name": "Caio", "owner_id": owner.id });
        let id = self.app.post(&self.ana, "/api/contacts", body).await.is(201).id();
        format!("/api/contacts/{id}")
    }

    async fn put(&self, who: &Person, path: &str) -> Answer {
        self.app.send(self.app.request(Method::PUT, path).bearer_auth(&who.token)).await
    }

    async fn say(&self, who: &Person, one: &str, body: Value) -> Answer {
        self.app.post(who, &format!("{one}/comments"), body).await
    }

    /// What somebody was told, newest first: kind, and what the record is called.
    async fn told(&self, who: &Person) -> Vec<(String, Value)> {
        let page = self.app.get(who, "/api/notifications?limit=200").await.is(200).json;
        let one = |one: &Value| (one["kind"].as_str().unwrap().to_owned(), one.get("label").cloned().unwrap_or_default());
        page["data"].as_array().unwrap().iter().map(one).collect()
    }

    async fn followers(&self, one: &str) -> Vec<String> {
        let all = self.app.get(&self.ana, &format!("{one}/followers")).await.is(200).json;
        all["data"].as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn actions(timeline: &Value) -> Vec<&str> {
    timeline["data"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect()
}

fn kinds(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(kind, _)| kind.as_str()).collect()
}

on_both_databases! {
    async fn people_talk_about_a_record(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (app, ana, bia, vera) = (&shop.app, &shop.ana, &shop.bia, &shop.vera);
        let one = shop.contact(ana).await;
        let first = shop.say(bia, &one, json!({ "body": " They want the blue ones. \n", "mentions": [vera.id, ana.id, vera.id] })).await.is(201);
        assert_eq!((&first.json["body"], &first.json["author_id"], &first.json["author"]), (&json!("They want the blue ones."), &json!(bia.id), &json!("agent of loja")));
        let mut mentions = [ana.id, vera.id];
        mentions.sort_unstable();
        assert_eq!((&first.json["mentions"], &first.json["reactions"]), (&json!(mentions), &json!([])));
        // Whoever looks may speak.
        let answer = shop.say(vera, &one, json!({ "body": "Green, I heard.", "parent_id": first.id() })).await.is(201);
        assert_eq!(answer.json["parent_id"], json!(first.id()));
        shop.say(ana, &one, json!({ "body": "?", "parent_id": answer.id() })).await.faults(&[("/parent_id", "invalid")]);
        shop.say(ana, &one, json!({ "body": "?", "parent_id": uuid::Uuid::now_v7() })).await.faults(&[("/parent_id", "not_found")]);
        let elsewhere = shop.contact(ana).await;
        shop.say(ana, &elsewhere, json!({ "body": "?", "parent_id": first.id() })).await.faults(&[("/parent_id", "not_found")]);
        for (body, at, code) in [
            (json!({}), "/body", "required"),
            (json!({ "body": "  " }), "/body", "too_short"),
            (json!({ "body": "x".repeat(10_001) }), "/body", "too_long"),
            (json!({ "body": "x", "mood": 1 }), "/mood", "unknown_field"),
        ] {
            shop.say(ana, &one, body).await.faults(&[(at, code)]);
        }

        // Only its author changes it; its author and admins delete it.
        let at = format!("{one}/comments/{}", first.id());
        app.patch(ana, &at, json!({ "body": "Mine" })).await.fails(403, "forbidden");
        assert!(app.patch(bia, &at, json!({})).await.is(200).json.get("edited_at").is_none(), "a change of nothing is none");
        let edited = app.patch(bia, &at, json!({ "body": "They want the red ones.", "mentions": [ana.id] })).await.is(200);
        assert_eq!((&edited.json["body"], &edited.json["mentions"]), (&json!("They want the red ones."), &json!([ana.id])));
        assert!(edited.json["edited_at"].is_string());
        app.delete(vera, &at).await.fails(403, "forbidden");

        // Newest first, page by page.
        let third = shop.say(ana, &one, json!({ "body": "Both then." })).await.is(201);
        let page = app.get(vera, &format!("{one}/comments?limit=2")).await.is(200).json;
        assert_eq!((&page["data"][0], &page["data"][1]["id"]), (&third.json, &json!(answer.id())));
        let next = page["page"]["next_cursor"].as_str().unwrap();
        let rest = app.get(vera, &format!("{one}/comments?limit=2&cursor={next}")).await.is(200).json;
        assert_eq!((&rest["data"], &rest["page"]["next_cursor"]), (&json!([edited.json]), &Value::Null));
        app.get(vera, &format!("{one}/comments?cursor=x")).await.faults(&[("/cursor", "invalid")]);

        // What is answered keeps its place without its words; what isn't is gone.
        assert_eq!(app.delete(ana, &at).await.status, 204);
        app.delete(ana, &at).await.fails(404, "not_found");
        app.patch(bia, &at, json!({ "body": "Back" })).await.fails(404, "not_found");
        shop.say(ana, &one, json!({ "body": "?", "parent_id": first.id() })).await.faults(&[("/parent_id", "not_found")]);
        let all = app.get(ana, &format!("{one}/comments")).await.is(200);
        assert_eq!(all.json["data"].as_array().unwrap().len(), 3);
        assert_eq!((&all.json["data"][2]["body"], &all.json["data"][2]["mentions"]), (&json!(""), &json!([])));
        assert!(all.json["data"][2]["deleted_at"].is_string());
        assert_eq!(app.delete(vera, &format!("{one}/comments/{}", answer.id())).await.status, 204);
        let left = app.get(ana, &format!("{one}/comments")).await.is(200);
        assert_eq!(left.json["data"], json!([third.json]));

        let timeline = app.get(ana, &format!("{one}/timeline")).await.is(200);
        assert_eq!(actions(&timeline.json), ["comment_deleted", "comment_deleted", "commented", "comment_edited", "commented", "commented", "created"]);
        assert_eq!(timeline.json["data"][5]["data"]["comment_id"], json!(first.id()));
        assert!(!timeline.text.contains("blue"), "what was said is said in one place");
        assert_eq!(app.get(ana, &one).await.is(200).json["version"], 1, "the record is the same");
        shop.app.finish().await;
    }

    async fn every_commented_resource_is_and_no_other(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let mut maker = Maker::new(&app, &ana);
        for resource in registry::all() {
            let one = format!("{}/{}", path(resource), maker.some(resource.topic).await);
            let comments = format!("{one}/comments");
            if !TOPICS.contains(&resource.topic) {
                app.get(&ana, &comments).await.fails(404, "not_found");
                continue;
            }
            let comment = app.post(&ana, &comments, json!({ "body": "Well" })).await.is(201).id();
            let at = format!("{comments}/{comment}");
            for (method, path) in [
                (Method::GET, comments.clone()),
                (Method::POST, comments.clone()),
                (Method::PATCH, at.clone()),
                (Method::DELETE, at.clone()),
                (Method::PUT, format!("{at}/reactions/%F0%9F%91%8D")),
                (Method::DELETE, format!("{at}/reactions/%F0%9F%91%8D")),
                (Method::GET, format!("{one}/followers")),
                (Method::PUT, format!("{one}/followers/me")),
                (Method::DELETE, format!("{one}/followers/me")),
            ] {
                let mut request = app.request(method, &path).bearer_auth(&eva.token);
                if path == comments || path == at {
                    request = request.json(&json!({ "body": "Well?" }));
                }
                app.send(request).await.fails(404, "not_found");
            }
            // In the trash they stay, and nobody adds any; with the record they go.
            assert_eq!(app.delete(&ana, &one).await.status, 204);
            assert_eq!(app.get(&ana, &comments).await.is(200).json["data"][0]["id"], json!(comment));
            app.post(&ana, &comments, json!({ "body": "Well" })).await.fails(409, "in_trash");
            let _ = app.ask(&ana, &format!("{one}/restore")).await.is(200);
            let _ = app.post(&ana, &comments, json!({ "body": "Well", "parent_id": comment })).await.is(201);
        }
        let one = format!("/api/contacts/{}", app.post(&ana, "/api/contacts", json!({ "first_name": "Caio" })).await.is(201).id());
        let comment = app.post(&ana, &format!("{one}/comments"), json!({ "body": "Secret", "mentions": [ana.id] })).await.is(201).id();
        let _ = app.post(&ana, &format!("{one}/comments"), json!({ "body": "Secret", "parent_id": comment })).await.is(201);
        assert_eq!(app.delete(&ana, &format!("{one}?force=true")).await.status, 204);
        app.get(&ana, &format!("{one}/comments")).await.fails(404, "not_found");
        app.execute("delete from comments where body <> 'Secret' and parent_id is not null").await;
        app.execute("delete from comments where body <> 'Secret'").await;
        for table in ["comments", "comment_mentions"] {
            assert_eq!(count(&app, table).await, 0, "{table}");
        }
        app.finish().await;
    }

    async fn who_does_not_see_a_record_hears_nothing_of_it(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (app, ana, rui) = (&shop.app, &shop.ana, &shop.rui);
        let (own, other) = (shop.contact(rui).await, shop.contact(ana).await);
        let eva = app.person("outra", Role::Admin).await;
        assert_eq!(kinds(&shop.told(rui).await), ["assigned"]);
        // Not by being mentioned, not by being let follow.
        shop.say(ana, &other, json!({ "body": "Oi", "mentions": [ana.id, rui.id, eva.id] })).await.faults(&[("/mentions/1", "not_found"), ("/mentions/2", "not_found")]);
        for user in [rui, &eva] {
            shop.put(ana, &format!("{other}/followers/{}", user.id)).await.faults(&[("/user_id", "not_found")]);
        }
        for path in ["comments", "followers"] {
            app.get(rui, &format!("{other}/{path}")).await.fails(404, "not_found");
        }
        shop.say(rui, &other, json!({ "body": "Oi" })).await.fails(404, "not_found");
        shop.put(rui, &format!("{other}/followers/me")).await.fails(404, "not_found");
        // While it is theirs they are told, and not a word from then on.
        let _ = shop.say(ana, &own, json!({ "body": "Oi", "mentions": [rui.id] })).await.is(201);
        assert_eq!(shop.told(rui).await, [("mentioned".to_owned(), json!("Caio")), ("assigned".to_owned(), json!("Caio"))]);
        let _ = app.patch(ana, &own, json!({ "owner_id": ana.id })).await.is(200);
        assert!(shop.followers(&own).await.contains(&rui.id.to_string()), "they were mentioned");
        let _ = shop.say(ana, &own, json!({ "body": "Oi again" })).await.is(201);
        assert_eq!(shop.told(rui).await, [("mentioned".to_owned(), Value::Null), ("assigned".to_owned(), Value::Null)]);
        // People may see whom they work with only as far as their roles say.
        let comments = app.get(ana, &format!("{own}/comments")).await.is(200);
        assert!(comments.json["data"][0]["author"].is_string());
        let mine = shop.contact(rui).await;
        let _ = shop.say(ana, &mine, json!({ "body": "Oi" })).await.is(201);
        assert!(app.get(rui, &format!("{mine}/comments")).await.is(200).json["data"][0].get("author").is_none());
        // Who can't sign in any more is told nothing either.
        app.execute(&format!("update users set disabled_at = created_at where email = '{}'", shop.vera.email)).await;
        shop.say(ana, &mine, json!({ "body": "Oi", "mentions": [shop.vera.id] })).await.faults(&[("/mentions/0", "not_found")]);
        shop.app.finish().await;
    }

    async fn a_token_for_reading_does_not_speak(kind: Kind) {
        let shop = Shop::open(kind).await;
        let one = shop.contact(&shop.ana).await;
        let reader = Person { token: shop.app.token(&shop.ana.email, &["contacts:view"]).await, ..shop.ana.clone() };
        let writer = Person { token: shop.app.token(&shop.ana.email, &["contacts:*"]).await, ..shop.ana.clone() };
        let _ = shop.app.get(&reader, &format!("{one}/comments")).await.is(200);
        shop.say(&reader, &one, json!({ "body": "Oi" })).await.fails(403, "forbidden");
        shop.put(&reader, &format!("{one}/followers/me")).await.fails(403, "forbidden");
        let _ = shop.say(&writer, &one, json!({ "body": "Oi" })).await.is(201);
        shop.app.finish().await;
    }

    async fn everybody_leaves_an_emoji_once(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (ana, bia) = (&shop.ana, &shop.bia);
        let one = shop.contact(ana).await;
        let comment = shop.say(ana, &one, json!({ "body": "Won!" })).await.is(201).id();
        let at = |emoji: &str| format!("{one}/comments/{comment}/reactions/{emoji}");
        for who in [bia, ana, ana] {
            let _ = shop.put(who, &at("👍")).await.is(200);
        }
        let shown = shop.put(bia, &at("❤️")).await.is(200).json;
        assert_eq!(shown["reactions"], json!([{ "emoji": "👍", "user_ids": [bia.id, ana.id] }, { "emoji": "❤️", "user_ids": [bia.id] }]));
        shop.put(bia, &at("ok")).await.faults(&[("/emoji", "invalid")]);
        assert_eq!(shop.put(bia, &at(&"👍".repeat(17))).await.status, 422);
        let left = shop.app.delete(bia, &at("👍")).await.is(200).json;
        assert_eq!(left["reactions"], json!([{ "emoji": "👍", "user_ids": [ana.id] }, { "emoji": "❤️", "user_ids": [bia.id] }]));
        let _ = shop.app.delete(bia, &at("👍")).await.is(200);
        let timeline = shop.app.get(ana, &format!("{one}/timeline")).await.is(200).json;
        assert_eq!(actions(&timeline), ["unreacted", "reacted", "reacted", "reacted", "commented", "created"]);
        assert_eq!(shop.app.delete(ana, &format!("{one}/comments/{comment}")).await.status, 204);
        shop.put(bia, &at("👍")).await.fails(404, "not_found");
        shop.app.finish().await;
    }

    async fn people_follow_until_they_leave(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (app, ana, bia, vera) = (&shop.app, &shop.ana, &shop.bia, &shop.vera);
        let one = shop.contact(bia).await;
        let ids = |people: &[&Person]| {
            let mut ids: Vec<_> = people.iter().map(|person| person.id.to_string()).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(shop.followers(&one).await, ids(&[bia]), "the owner does");
        let _ = shop.say(ana, &one, json!({ "body": "Oi" })).await.is(201);
        assert_eq!(shop.followers(&one).await, ids(&[ana, bia]), "whoever comments does");
        let follower = shop.put(vera, &format!("{one}/followers/me")).await.is(200).json;
        assert_eq!(follower, json!({ "user_id": vera.id, "name": "viewer of loja" }));
        let _ = shop.put(vera, &format!("{one}/followers/{}", vera.id)).await.is(200);
        shop.put(vera, &format!("{one}/followers/{}", ana.id)).await.fails(403, "forbidden");
        shop.put(vera, &format!("{one}/followers/you")).await.faults(&[("/user_id", "invalid")]);
        assert_eq!(shop.followers(&one).await, ids(&[ana, bia, vera]));
        // Whoever leaves is left alone, even as the owner, even when mentioned, until they come back.
        for who in [bia, vera] {
            assert_eq!(app.delete(who, &format!("{one}/followers/me")).await.status, 204);
            assert_eq!(app.delete(who, &format!("{one}/followers/me")).await.status, 204);
        }
        let _ = shop.say(ana, &one, json!({ "body": "Oi", "mentions": [vera.id] })).await.is(201);
        assert_eq!(shop.followers(&one).await, ids(&[ana]));
        assert_eq!(kinds(&shop.told(bia).await), ["commented", "assigned"], "of the first comment, and not of the second");
        assert_eq!(kinds(&shop.told(vera).await), ["mentioned"]);
        let _ = shop.put(ana, &format!("{one}/followers/{}", bia.id)).await.is(200);
        assert_eq!(shop.followers(&one).await, ids(&[ana, bia]));
        let timeline = app.get(ana, &format!("{one}/timeline")).await.is(200).json;
        assert_eq!(actions(&timeline), ["followed", "commented", "unfollowed", "unfollowed", "followed", "commented", "created"]);
        shop.app.finish().await;
    }

    async fn people_are_told_what_others_do(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (app, ana, bia, vera) = (&shop.app, &shop.ana, &shop.bia, &shop.vera);
        let pipeline = app.post(ana, "/api/pipelines", json!({ "name": "Vendas" })).await.is(201).id();
        let _ = app.post(ana, "/api/stages", json!({ "name": "Lead", "pipeline_id": pipeline, "position": 0, "probability": 10 })).await.is(201);
        let deal = app.post(ana, "/api/deals", json!({ "name": "Chairs" })).await.is(201).id();
        let one = format!("/api/deals/{deal}");
        assert!(shop.told(ana).await.is_empty(), "nobody is told what they did themselves");
        let _ = app.patch(ana, &one, json!({ "owner_id": bia.id })).await.is(200);
        let _ = app.patch(bia, &one, json!({ "name": "120 chairs" })).await.is(200);
        let _ = shop.say(bia, &one, json!({ "body": "Oi", "mentions": [vera.id] })).await.is(201);
        let _ = shop.say(vera, &one, json!({ "body": "Oi" })).await.is(201);
        let _ = app.patch(ana, &one, json!({ "status": "won" })).await.is(200);
        let _ = app.patch(bia, &one, json!({ "status": "lost" })).await.is(200);
        let _ = app.patch(bia, &one, json!({ "lost_note": "Too late" })).await.is(200);
        let named = |kinds: &[&str]| kinds.iter().map(|kind| ((*kind).to_owned(), json!("120 chairs"))).collect::<Vec<_>>();
        assert_eq!(shop.told(bia).await, named(&["won", "commented", "assigned"]));
        assert_eq!(shop.told(vera).await, named(&["lost", "won", "mentioned"]));
        assert!(shop.told(ana).await.is_empty());

        // Read one by one, or all at once; everybody their own.
        let count = async |who: &Person| app.get(who, "/api/notifications/unread-count").await.is(200).json["count"].as_u64().unwrap();
        assert_eq!((count(ana).await, count(bia).await, count(vera).await), (0, 3, 3));
        let first = app.get(bia, "/api/notifications?limit=1").await.is(200).json;
        assert_eq!((&first["data"][0]["topic"], &first["data"][0]["subject_id"], &first["data"][0]["actor"]), (&json!("deals"), &json!(deal), &json!("admin of loja")));
        let read = format!("/api/notifications/{}/read", first["data"][0]["id"].as_str().unwrap());
        app.ask(vera, &read).await.fails(404, "not_found");
        let at = app.ask(bia, &read).await.is(200).json["read_at"].clone();
        assert!(at.is_string() && app.ask(bia, &read).await.is(200).json["read_at"] == at, "it was read then");
        let unread = app.get(bia, "/api/notifications?unread=true").await.is(200).json;
        assert_eq!(unread["data"].as_array().unwrap().len(), 2);
        let next = first["page"]["next_cursor"].as_str().unwrap();
        let rest = app.get(bia, &format!("/api/notifications?limit=5&cursor={next}")).await.is(200).json;
        assert_eq!((&rest["data"], &rest["page"]["next_cursor"]), (&unread["data"], &Value::Null));
        assert_eq!(app.ask(bia, "/api/notifications/read-all").await.status, 204);
        assert_eq!((count(bia).await, count(vera).await), (0, 3));

        // They are kept for a while, and never longer than the record.
        app.execute("update notifications set created_at = '2001-01-01T00:00:00+00:00' where kind = 'won'").await;
        assert_eq!(domain::maintenance::purge(&app.ledger).await.unwrap().notifications, 2);
        assert_eq!(kinds(&shop.told(vera).await), ["lost", "mentioned"]);
        assert_eq!(app.delete(ana, &format!("{one}?force=true")).await.status, 204);
        assert!(shop.told(vera).await.is_empty());
        shop.app.finish().await;
    }
}

async fn count(app: &TestApp, table: &str) -> i64 {
    use sea_orm::{ConnectionTrait, Statement};
    let find = Statement::from_string(app.database.db.backend(), format!("select count(*) as n from {table}"));
    app.database.db.read.query_one_raw(find).await.unwrap().unwrap().try_get("", "n").unwrap()
}
