//! Roles: how far they let somebody reach, and what they hide.

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    database::Kind,
    on_both_databases,
};

/// An admin, and a member with roles of these grants and hidden fields, in a team with a colleague.
async fn team(kind: Kind, roles: Vec<(Value, Value)>) -> (TestApp, Person, Person, Person) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    let (rui, bia) = (app.person("loja", Role::Member).await, app.person("loja", Role::Member).await);
    let _ = app.post(&ana, "/api/teams", json!({ "name": "Sul", "member_ids": [rui.id, bia.id] })).await.is(201);
    for (n, (grants, hidden)) in roles.into_iter().enumerate() {
        let role = json!({ "name": format!("Role {n}"), "grants": grants, "hidden": hidden, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
    }
    (app, ana, rui, bia)
}

async fn contact(app: &TestApp, ana: &Person, name: &str, owner: &Person) -> String {
    let body = json!({ "first_name": name, "owner_id": owner.id, "phones": [{ "number": "+5511987654321" }], "description": "Secret" });
    app.post(ana, "/api/contacts", body).await.is(201).id()
}

fn names(page: &Answer) -> Vec<String> {
    let mut names: Vec<_> =
        page.json["data"].as_array().unwrap().iter().map(|one| one["first_name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

on_both_databases! {
    async fn a_role_reaches_as_far_as_it_says(kind: Kind) {
        let grants = json!({ "contacts": { "view": "team", "create": "own", "edit": "own" } });
        let (app, ana, rui, bia) = team(kind, vec![(grants, json!({}))]).await;
        let (own, mate, other) = (
            contact(&app, &ana, "Own", &rui).await,
            contact(&app, &ana, "Mate", &bia).await,
            contact(&app, &ana, "Other", &ana).await,
        );
        let of = |id: &str| format!("/api/contacts/{id}");
        assert_eq!(names(&app.get(&rui, "/api/contacts").await.is(200)), ["Mate", "Own"]);
        let _ = app.get(&rui, &of(&mate)).await.is(200);
        app.get(&rui, &of(&other)).await.fails(404, "not_found");
        let _ = app.patch(&rui, &of(&own), json!({ "city": "Recife" })).await.is(200);
        app.patch(&rui, &of(&mate), json!({ "city": "Recife" })).await.fails(403, "forbidden");
        app.patch(&rui, &of(&other), json!({ "city": "Recife" })).await.fails(404, "not_found");
        app.delete(&rui, &of(&own)).await.fails(403, "forbidden");
        let _ = app.post(&rui, "/api/contacts", json!({ "first_name": "New" })).await.is(201);
        app.post(&rui, "/api/contacts", json!({ "first_name": "New", "owner_id": rui.id, "tags": ["x"] })).await.faults(&[("/tags/0", "not_found")]);
        // Colleagues are named to those who may see users; a foreign owner can't be set without that.
        app.post(&rui, "/api/contacts", json!({ "first_name": "New", "owner_id": bia.id })).await.faults(&[("/owner_id", "not_found")]);
        // Nothing of what no role grants.
        app.get(&rui, "/api/deals").await.fails(403, "forbidden");
        app.get(&rui, "/api/audit").await.fails(403, "forbidden");
        app.get(&bia, "/api/contacts").await.fails(403, "forbidden");
        let filter = json!({ "filter": { "field": "company_ids", "op": "not_null" } });
        let _ = app.post(&rui, "/api/contacts/query", filter).await.is(200);
        app.finish().await;
    }

    async fn of_several_roles_the_most_permissive_wins(kind: Kind) {
        let narrow = (json!({ "contacts": { "view": "own" } }), json!({ "contacts": ["phones", "description"] }));
        let wide = (json!({ "contacts": { "view": "all", "delete": "all" }, "devices": { "read": "all" } }), json!({ "contacts": ["phones"] }));
        let unrelated = (json!({ "products": { "view": "all" } }), json!({}));
        let (app, ana, rui, _) = team(kind, vec![narrow, wide, unrelated]).await;
        let id = contact(&app, &ana, "Other", &ana).await;
        let seen = app.get(&rui, &format!("/api/contacts/{id}")).await.is(200);
        assert_eq!((&seen.json["phones"], &seen.json["description"]), (&json!([]), &json!("Secret")));
        let _ = app.get(&rui, "/api/products").await.is(200);
        let _ = app.get(&rui, "/api/whatsapp/devices").await.is(200);
        app.post(&rui, "/api/contacts", json!({ "first_name": "New" })).await.fails(403, "forbidden");
        assert_eq!(app.delete(&rui, &format!("/api/contacts/{id}")).await.status, 204);
        app.finish().await;
    }

    async fn what_is_hidden_is_hidden_everywhere(kind: Kind) {
        let grants = json!({ "contacts": { "view": "all", "create": "all", "edit": "all" }, "deals": { "view": "all" } });
        let (app, ana, rui, _) = team(kind, vec![(grants, json!({ "contacts": ["phones", "description", "owner_id"] }))]).await;
        let id = contact(&app, &ana, "Ana", &ana).await;
        let one = format!("/api/contacts/{id}");
        let _ = app.patch(&ana, &one, json!({ "description": "Secret too" })).await.is(200);
        let hidden = |text: &str| assert!(!text.contains("Secret") && !text.contains("98765") && !text.contains(&ana.id.to_string()), "{text}");
        for path in [&one, &format!("{one}?include=owner"), "/api/contacts", "/api/contacts?fields=phones,description", &format!("{one}/timeline")] {
            let answer = app.get(&rui, path).await.is(200);
            // Who did it is no field of the contact.
            let mut json = answer.json.clone();
            for event in json["data"].as_array_mut().into_iter().flatten() {
                event.as_object_mut().unwrap().remove("actor_id");
            }
            hidden(&json.to_string());
        }
        let ask = |field: &str| json!({ "filter": { "field": field, "op": "not_null" } });
        app.post(&rui, "/api/contacts/query", ask("description")).await.faults(&[("/filter/field", "forbidden")]);
        app.post(&rui, "/api/contacts/query", ask("phones.number")).await.faults(&[("/filter/field", "forbidden")]);
        app.post(&rui, "/api/contacts/query", ask("owner.id")).await.faults(&[("/filter/field", "forbidden")]);
        let by = app.request(reqwest::Method::PUT, "/api/contacts/by/phones/+5511987654321").bearer_auth(&rui.token).json(&json!({}));
        app.send(by).await.faults(&[("/field", "forbidden")]);
        let nul = json!({ "filter": { "field": "city", "op": "eq", "value": "a\u{0}" } });
        app.post(&rui, "/api/contacts/query", nul).await.fails(422, "invalid");
        let nul = app.request(reqwest::Method::GET, "/api/contacts").query(&[("filter", r#"{"field":"city","op":"eq","value":"a\u0000"}"#)]);
        app.send(nul.bearer_auth(&rui.token)).await.faults(&[("/filter/value", "invalid")]);
        app.get(&rui, "/api/contacts?sort=description").await.fails(422, "invalid");
        app.get(&rui, "/api/contacts?sort=owner_id").await.faults(&[("/sort", "forbidden")]);
        assert_eq!(names(&app.get(&rui, "/api/contacts?q=98765").await.is(200)), [] as [&str; 0]);
        app.patch(&rui, &one, json!({ "description": "mine" })).await.faults(&[("/description", "forbidden")]);
        hidden(&app.patch(&rui, &one, json!({ "city": "Recife" })).await.is(200).text);
        hidden(&app.ask(&rui, &format!("{one}/clone")).await.is(201).text.replace(&rui.id.to_string(), ""));
        assert_eq!(app.get(&ana, &one).await.is(200).json["description"], "Secret too", "nothing was lost by it");
        app.finish().await;
    }

    async fn nobody_makes_themselves_an_admin(kind: Kind) {
        let (app, ana, rui, _) = team(kind, vec![(json!({ "users": { "view": "all", "edit": "all" }, "roles": { "view": "all" }, "teams": { "view": "all", "edit": "all" } }), json!({}))]).await;
        let me = format!("/api/users/{}", rui.id);
        app.patch(&rui, &me, json!({ "role": "admin" })).await.faults(&[("/role", "forbidden")]);
        assert_eq!(app.patch(&rui, &me, json!({ "name": "Rui" })).await.is(200).json["role"], "member");
        let role = app.get(&rui, "/api/roles").await.is(200).json["data"][0]["id"].as_str().unwrap().to_owned();
        app.patch(&rui, &format!("/api/roles/{role}"), json!({ "grants": { "deals": { "view": "all" } } })).await.fails(403, "forbidden");
        let team = app.get(&rui, "/api/teams").await.is(200).json["data"][0]["id"].as_str().unwrap().to_owned();
        app.patch(&rui, &format!("/api/teams/{team}"), json!({ "member_ids": [ana.id, rui.id] })).await.faults(&[("/member_ids", "forbidden")]);
        let _ = app.patch(&rui, &format!("/api/teams/{team}"), json!({ "description": "South" })).await.is(200);
        let grants = json!({ "name": "R", "grants": { "roles": { "edit": "all" } } });
        app.post(&ana, "/api/roles", grants).await.faults(&[("/grants/roles/edit", "unknown_field")]);
        // Somebody has to be one.
        app.patch(&ana, &format!("/api/users/{}", ana.id), json!({ "role": "agent" })).await.faults(&[("/role", "invalid")]);
        let _ = app.patch(&ana, &me, json!({ "role": "admin" })).await.is(200);
        let _ = app.patch(&ana, &format!("/api/users/{}", ana.id), json!({ "role": "agent" })).await.is(200);
        app.finish().await;
    }

    async fn whoever_may_send_may_write_to_a_new_number(kind: Kind) {
        let (app, ana, rui, _) = team(kind, vec![(json!({ "messages": { "send": "all", "read": "all" } }), json!({}))]).await;
        let device = app.device(&ana, "100").await;
        let template = json!({ "name": "boas_vindas", "language": "pt_BR" });
        let body = json!({ "device_id": device, "to": "+5511912345678", "type": "template", "template": template });
        let _ = app.post(&rui, "/api/whatsapp/messages/send", body).await.is(202);
        let made = app.get(&ana, "/api/contacts?filter={\"field\":\"origin\",\"op\":\"eq\",\"value\":\"whatsapp\"}").await.is(200);
        assert_eq!((made.json["data"].as_array().unwrap().len(), &made.json["data"][0]["owner_id"]), (1, &Value::Null));
        app.claim::<domain::payloads::SendMessage>().await;
        app.claim::<domain::payloads::SyncContact>().await;
        app.finish().await;
    }

    async fn a_role_allows_only_what_there_is(kind: Kind) {
        let (app, ana, ..) = team(kind, Vec::new()).await;
        let role = |grants: Value, hidden: Value| json!({ "name": "R", "grants": grants, "hidden": hidden });
        for (body, at, code) in [
            (role(json!({ "ghosts": { "view": "all" } }), json!({})), "/grants/ghosts/view", "unknown_field"),
            (role(json!({ "contacts": { "fly": "all" } }), json!({})), "/grants/contacts/fly", "unknown_field"),
            (role(json!({ "contacts": { "view": "some" } }), json!({})), "/grants/contacts/view", "invalid"),
            (role(json!({ "products": { "view": "own" } }), json!({})), "/grants/products/view", "invalid"),
            (role(json!({ "contacts": "all" }), json!({})), "/grants/contacts", "wrong_type"),
            (role(json!({}), json!({ "ghosts": [] })), "/hidden/ghosts", "unknown_field"),
            (role(json!({}), json!({ "contacts": ["soul"] })), "/hidden/contacts/0", "unknown_field"),
            (role(json!({}), json!({ "contacts": ["first_name"] })), "/hidden/contacts/0", "invalid"),
        ] {
            app.post(&ana, "/api/roles", body).await.faults(&[(at, code)]);
        }
        let known = app.get(&ana, "/api/permissions").await.is(200);
        assert!(known.json["data"].as_array().unwrap().iter().any(|one| one["ability"] == "contacts:edit" && one["reaches"] == json!(["own", "team", "all"])));
        app.finish().await;
    }

    async fn the_audit_log_is_searched(kind: Kind) {
        let (app, ana, ..) = team(kind, Vec::new()).await;
        let id = contact(&app, &ana, "Ana", &ana).await;
        let _ = app.patch(&ana, &format!("/api/contacts/{id}"), json!({ "city": "Recife" })).await.is(200);
        let found = async |query: &str| app.get(&ana, &format!("/api/audit?{query}")).await.is(200).json["data"].as_array().unwrap().clone();
        let about = found(&format!("subject_id={id}")).await;
        assert_eq!(about.iter().map(|event| event["action"].as_str().unwrap()).collect::<Vec<_>>(), ["updated", "created"]);
        assert_eq!(about[0]["data"]["changes"], json!({ "city": { "from": null, "to": "Recife" } }));
        assert_eq!(found("topic=contacts&action=updated").await.len(), 1);
        assert_eq!(found("topic=contacts&to=2001-01-01T00:00:00Z").await.len(), 0);
        assert!(found("topic=teams&actor_kind=token&from=2001-01-01T00:00:00Z").await.len() == 1);
        let eva = app.person("outra", Role::Admin).await;
        assert_eq!(app.get(&eva, &format!("/api/audit?subject_id={id}")).await.is(200).json["data"], json!([]));
        app.finish().await;
    }
}
