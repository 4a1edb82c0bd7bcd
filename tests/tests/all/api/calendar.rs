//! The calendar, and what calendar programs read of it.

use std::collections::BTreeMap;

use domain::{
    engine::Write,
    entities::Role,
    resource::{Record, registry, write},
    scope::{Actor, Scope},
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

async fn made(app: &TestApp, who: &Person, body: Value) -> Value {
    app.post(who, "/api/activities", body).await.is(201).json
}

async fn titles(app: &TestApp, who: &Person, query: &str) -> Vec<String> {
    let found = app.get(who, &format!("/api/activities/calendar?{query}")).await.is(200).json;
    found["data"].as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect()
}

/// A new feed's path.
async fn feed(app: &TestApp, who: &Person) -> String {
    let made = app.ask(who, "/api/me/calendar-feed").await.is(201);
    let url = made.json["url"].as_str().unwrap();
    url.strip_prefix("https://crm.example").unwrap_or_else(|| panic!("{url} is elsewhere")).to_owned()
}

async fn subscribed(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::GET, path)).await
}

/// A property's values of an event by its name, parameters left aside.
type Event = BTreeMap<String, String>;

/// The events of a calendar, read as RFC 5545 says: lines put together again, texts as they were before.
fn events(text: &str) -> Vec<Event> {
    assert!(text.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{text}");
    let whole = text.replace("\r\n ", "");
    let mut events = Vec::new();
    for part in whole.split("BEGIN:VEVENT\r\n").skip(1) {
        let (event, _) = part.split_once("END:VEVENT\r\n").unwrap();
        let property = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.split(';').next().unwrap().to_owned(), plain(value))
        };
        events.push(event.lines().map(property).collect());
    }
    events
}

fn plain(value: &str) -> String {
    let (mut text, mut letters) = (String::new(), value.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next().unwrap() {
                'n' => text.push('\n'),
                escaped => text.push(escaped),
            },
            bare => {
                assert!(!matches!(bare, ',' | ';'), "{value}");
                text.push(bare);
            }
        }
    }
    text
}

on_both_databases! {
    async fn a_calendar_shows_what_reaches_into_its_days(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let kind_of = app.post(&ana, "/api/activity-types", json!({ "name": "Visita" })).await.is(201).id();
        // São Paulo's days begin at three o'clock.
        for (title, due, end) in [
            ("the day before", Some("2030-11-30T12:00:00Z"), None),
            ("until midnight", Some("2030-11-30T22:00:00Z"), Some("2030-12-01T03:00:00Z")),
            ("reaches in", Some("2030-11-28T12:00:00Z"), Some("2030-12-01T04:00:00Z")),
            ("all over it", Some("2030-11-29T12:00:00Z"), Some("2030-12-31T12:00:00Z")),
            ("at midnight", Some("2030-12-01T03:00:00Z"), None),
            ("the last minute", Some("2030-12-08T02:59:00Z"), Some("2030-12-09T12:00:00Z")),
            ("the next midnight", Some("2030-12-08T03:00:00Z"), None),
            ("some day", None, None),
        ] {
            made(&app, &ana, json!({ "title": title, "type_id": kind_of, "due_at": due, "ends_at": end })).await;
        }
        let gone = made(&app, &ana, json!({ "title": "gone", "due_at": "2030-12-02T12:00:00Z" })).await;
        assert_eq!(app.delete(&ana, &format!("/api/activities/{}", gone["id"].as_str().unwrap())).await.status, 204);
        let days = "from=2030-12-01&to=2030-12-08";
        assert_eq!(titles(&app, &ana, days).await, ["reaches in", "all over it", "at midnight", "the last minute"]);
        let found = app.get(&ana, &format!("/api/activities/calendar?{days}")).await.is(200).json;
        assert_eq!((&found["more"], &found["time_zone"]), (&json!(false), &json!("America/Sao_Paulo")));
        let first = &found["data"][0];
        assert_eq!((&first["_labels"]["type_id"], &first["overdue"], &first["completed"], &first["owner_id"]), (&json!("Visita"), &json!(false), &json!(false), &json!(ana.id)));
        assert!(first.get("first_day").is_none());

        // Where the reader is, days are others.
        app.execute(&format!("update users set time_zone = 'Asia/Tokyo' where email = '{}'", ana.email)).await;
        assert_eq!(titles(&app, &ana, "from=2030-12-08&to=2030-12-09").await, ["all over it", "the last minute", "the next midnight"]);
        assert_eq!(titles(&app, &eva, days).await, [] as [&str; 0]);

        let at = |query: &str| format!("/api/activities/calendar?{query}");
        app.get(&ana, &at("from=2030-12-08&to=2030-12-08")).await.faults(&[("/to", "invalid")]);
        app.get(&ana, &at("from=2030-12-01&to=2031-02-02")).await.faults(&[("/to", "too_large")]);
        let _ = app.get(&ana, &at("from=2030-12-01&to=2031-02-01")).await.is(200);
        app.get(&ana, &at("from=2030-12-01")).await.faults(&[("/to", "required")]);
        app.get(&ana, &at("from=yesterday&to=2030-12-08")).await.faults(&[("/from", "invalid")]);
        app.get(&ana, &at(&format!("{days}&filter=x"))).await.faults(&[("/filter", "invalid")]);
        app.finish().await;
    }

    async fn a_calendar_says_what_is_overdue(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let now = chrono::Utc::now();
        let (hour, day) = (chrono::TimeDelta::hours(1), chrono::TimeDelta::days(1));
        let today = now.with_timezone(&chrono_tz::America::Sao_Paulo).date_naive();
        made(&app, &ana, json!({ "title": "late", "due_at": now - day })).await;
        made(&app, &ana, json!({ "title": "done", "due_at": now - day + hour, "completed": true })).await;
        made(&app, &ana, json!({ "title": "under way", "due_at": now - hour, "ends_at": now + hour })).await;
        made(&app, &ana, json!({ "title": "today", "due_at": now - hour * 2, "all_day": true })).await;
        made(&app, &ana, json!({ "title": "yesterday", "due_at": now - day, "all_day": true })).await;
        let query = format!("/api/activities/calendar?from={}&to={}", today - day * 2, today + day * 2);
        let found = app.get(&ana, &query).await.is(200).json;
        let mut overdue: Vec<_> = found["data"].as_array().unwrap().iter().filter(|one| one["overdue"] == true).map(|one| one["title"].as_str().unwrap()).collect();
        overdue.sort_unstable();
        // Two hours ago may have been yesterday.
        overdue.retain(|title| *title != "today");
        assert_eq!((found["data"].as_array().unwrap().len(), overdue), (5, vec!["late", "yesterday"]));
        app.finish().await;
    }

    async fn whole_days_are_the_same_everywhere(kind: Kind) {
        let app = app(kind).await;
        let (ana, bia) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        app.execute(&format!("update users set time_zone = 'Asia/Tokyo' where email = '{}'", bia.email)).await;
        let fair = json!({ "title": "Feira", "due_at": "2030-06-10T15:30:00Z", "ends_at": "2030-06-12T01:00:00Z", "all_day": true });
        let fair = made(&app, &ana, fair).await;
        assert_eq!((&fair["due_at"], &fair["ends_at"]), (&json!("2030-06-10T03:00:00+00:00"), &json!("2030-06-11T03:00:00+00:00")));
        for who in [&ana, &bia] {
            for (from, to, seen) in [("09", "10", false), ("10", "11", true), ("11", "12", true), ("12", "13", false)] {
                let query = format!("from=2030-06-{from}&to=2030-06-{to}");
                assert_eq!(titles(&app, who, &query).await.len(), usize::from(seen), "{query}");
            }
        }
        let found = app.get(&bia, "/api/activities/calendar?from=2030-06-01&to=2030-07-01").await.is(200).json;
        assert_eq!((&found["data"][0]["first_day"], &found["data"][0]["last_day"]), (&json!("2030-06-10"), &json!("2030-06-11")));
        // What is written as it is stays as it is, and with hours again it has them.
        let path = format!("/api/activities/{}", fair["id"].as_str().unwrap());
        assert_eq!(app.patch(&ana, &path, json!({ "due_at": fair["due_at"] })).await.is(200).json["version"], 1);
        let timed = app.patch(&ana, &path, json!({ "all_day": false, "due_at": "2030-06-10T15:30:00Z" })).await.is(200).json;
        assert_eq!(timed["due_at"], "2030-06-10T15:30:00+00:00");
        app.patch(&ana, &path, json!({ "due_at": "2030-06-12T15:30:00Z" })).await.faults(&[("/ends_at", "invalid")]);
        app.finish().await;
    }

    async fn a_calendar_is_narrowed_to_people_and_by_filters(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (bia, rui, eva) = (app.person("loja", Role::Agent).await, app.person("loja", Role::Member).await, app.person("outra", Role::Admin).await);
        let role = json!({ "name": "Own", "grants": { "activities": { "view": "own" } }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        for (title, owner, guests) in [("a", &ana, json!([])), ("b", &bia, json!([ana.id])), ("c", &rui, json!([bia.id])), ("d", &ana, json!([rui.id]))] {
            made(&app, &ana, json!({ "title": title, "due_at": "2030-12-02T12:00:00Z", "owner_id": owner.id, "guest_ids": guests })).await;
        }
        let days = "from=2030-12-01&to=2030-12-08";
        assert_eq!(titles(&app, &ana, days).await, ["a", "b", "c", "d"]);
        assert_eq!(titles(&app, &ana, &format!("{days}&user_id={}", bia.id)).await, ["b", "c"]);
        assert_eq!(titles(&app, &ana, &format!("{days}&user_id={}", eva.id)).await, [] as [&str; 0]);
        let filter = r#"filter={"field":"owner_id","op":"eq","value":"@me"}"#;
        assert_eq!(titles(&app, &ana, &format!("{days}&{filter}")).await, ["a", "d"]);
        assert_eq!(titles(&app, &ana, &format!("{days}&{filter}&user_id={}", rui.id)).await, ["d"]);
        assert_eq!(titles(&app, &rui, days).await, ["c"]);
        assert_eq!(titles(&app, &rui, &format!("{days}&user_id={}", ana.id)).await, [] as [&str; 0]);

        // Who doesn't get to see when, sees no calendar; who doesn't get to see who, can't ask for it.
        let role = |name: &str, hidden: Value| json!({ "name": name, "grants": { "activities": { "view": "all" } }, "hidden": { "activities": hidden } });
        let (tom, ivo) = (app.person("loja", Role::Member).await, app.person("loja", Role::Member).await);
        for (who, name, hidden) in [(&tom, "No times", json!(["ends_at"])), (&ivo, "No guests", json!(["guest_ids"]))] {
            let mut role = role(name, hidden);
            role["user_ids"] = json!([who.id]);
            let _ = app.post(&ana, "/api/roles", role).await.is(201);
        }
        app.get(&tom, &format!("/api/activities/calendar?{days}")).await.fails(403, "forbidden");
        assert_eq!(titles(&app, &ivo, days).await.len(), 4);
        app.get(&ivo, &format!("/api/activities/calendar?{days}&user_id={}", bia.id)).await.faults(&[("/user_id", "forbidden")]);
        app.finish().await;
    }

    async fn more_than_a_calendar_shows_is_said(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let scope = Scope::system(ana.tenant, Actor::User(ana.id));
        let one = async |begun: &Write<'_>, n: usize| {
            let body: Record = [("title".to_owned(), json!(format!("{n}"))), ("due_at".to_owned(), json!("2030-12-02T12:00:00Z"))].into_iter().collect();
            write::create(begun, registry::named("activities"), &body).await.unwrap();
        };
        let begun = Write::begin(&app.ledger, &scope).await.unwrap();
        for n in 0..1_000 {
            one(&begun, n).await;
        }
        begun.commit(()).await.unwrap();
        let query = "/api/activities/calendar?from=2030-12-01&to=2030-12-08";
        let all = app.get(&ana, query).await.is(200).json;
        assert_eq!((all["data"].as_array().unwrap().len(), &all["more"]), (1_000, &json!(false)));
        let begun = Write::begin(&app.ledger, &scope).await.unwrap();
        one(&begun, 1_000).await;
        begun.commit(()).await.unwrap();
        let some = app.get(&ana, query).await.is(200).json;
        assert_eq!((some["data"].as_array().unwrap().len(), &some["more"]), (1_000, &json!(true)));
        app.finish().await;
    }

    async fn a_calendar_program_reads_a_feed(kind: Kind) {
        let app = app(kind).await;
        let (ana, bia) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await);
        let type_id = app.post(&ana, "/api/activity-types", json!({ "name": "Visita, longa" })).await.is(201).id();
        let soon = (chrono::Utc::now() + chrono::TimeDelta::days(10)).date_naive();
        let note = format!("Primeira linha;\nsegunda, com acentuação: {}", "ação ".repeat(40).trim_end());
        let visit = made(&app, &ana, json!({
            "title": "Visita à Acme", "type_id": type_id, "due_at": format!("{soon}T13:00:00Z"), "ends_at": format!("{soon}T14:30:00Z"),
            "note": note, "guest_ids": [bia.id],
        })).await;
        made(&app, &ana, json!({ "title": "Feira", "owner_id": bia.id, "due_at": format!("{soon}T15:00:00Z"), "all_day": true, "completed": true })).await;
        made(&app, &ana, json!({ "title": "of others", "due_at": format!("{soon}T13:00:00Z") })).await;
        made(&app, &ana, json!({ "title": "far away", "owner_id": bia.id, "due_at": "2035-01-01T13:00:00Z" })).await;

        let path = feed(&app, &bia).await;
        assert!(path.starts_with("/api/calendar/somo_cal_") && path.ends_with(".ics"), "{path}");
        let read = subscribed(&app, &path).await.is(200);
        assert_eq!(read.header("content-type"), "text/calendar; charset=utf-8");
        assert!(read.text.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:") && read.text.ends_with("END:VCALENDAR\r\n"), "{}", read.text);
        let found = events(&read.text);
        let value = |event: &Event, name: &str| event[name].clone();
        let titles: Vec<_> = found.iter().map(|event| value(event, "SUMMARY")).collect();
        assert_eq!(titles, ["✓ Feira", "Visita à Acme"]);
        let (fair, meeting) = (&found[0], &found[1]);
        let day = soon.format("%Y%m%d").to_string();
        assert_eq!((value(meeting, "DTSTART"), value(meeting, "DTEND")), (format!("{day}T130000Z"), format!("{day}T143000Z")));
        assert_eq!(value(meeting, "UID"), format!("{}@somo", visit["id"].as_str().unwrap()));
        assert_eq!((value(meeting, "SEQUENCE"), value(meeting, "STATUS")), ("1".into(), "CONFIRMED".into()));
        assert_eq!(value(meeting, "DESCRIPTION"), note);
        assert!(read.text.contains("CATEGORIES:Visita\\, longa\r\n") && read.text.contains("LAST-MODIFIED:"), "{}", read.text);
        assert_eq!(value(fair, "DTSTART"), day);
        assert_eq!(value(fair, "DTEND"), (soon + chrono::TimeDelta::days(1)).format("%Y%m%d").to_string());
        assert!(read.text.contains(&format!("DTSTART;VALUE=DATE:{day}\r\n")), "{}", read.text);

        // It is sent again only when it is another one.
        let again = || app.request(Method::GET, &path).header("if-none-match", read.header("etag"));
        assert_eq!(app.send(again()).await.status, 304);
        let _ = app.patch(&ana, &format!("/api/activities/{}", visit["id"].as_str().unwrap()), json!({ "title": "Visita" })).await.is(200);
        let changed = app.send(again()).await.is(200);
        assert!(changed.text.contains("SUMMARY:Visita\r\n") && changed.text.contains("SEQUENCE:2\r\n"), "{}", changed.text);
        app.finish().await;
    }

    async fn a_feed_is_its_owners(kind: Kind) {
        let app = app(kind).await;
        let (ana, vera, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await, app.person("loja", Role::Member).await);
        let state = async |who: &Person| app.get(who, "/api/me/calendar-feed").await.is(200).json;
        assert_eq!(state(&vera).await, json!({ "active": false }));
        let first = feed(&app, &vera).await;
        assert_eq!((&state(&vera).await["active"], state(&vera).await.get("last_read_at"), &state(&ana).await["active"]), (&json!(true), None, &json!(false)));
        let _ = subscribed(&app, &first).await.is(200);
        assert!(state(&vera).await["last_read_at"].is_string());

        // Another address ends the one before; a guess finds nothing.
        let second = feed(&app, &vera).await;
        subscribed(&app, &first).await.fails(404, "not_found");
        let _ = subscribed(&app, &second).await.is(200);
        assert!(state(&vera).await["last_read_at"].is_string());
        subscribed(&app, "/api/calendar/somo_cal_x.ics").await.fails(404, "not_found");
        subscribed(&app, second.trim_end_matches(".ics")).await.fails(404, "not_found");
        let stored = format!("{:?}", domain::activities::feed::get(&app.ledger.db().clone(), &Scope::system(vera.tenant, Actor::User(vera.id))).await.unwrap());
        assert!(!stored.contains("somo_cal_"), "{stored}");

        // Who may not sign in has no calendar, until they may again.
        let set = async |disabled: &str| app.execute(&format!("update users set disabled_at = {disabled} where email = '{}'", vera.email)).await;
        set("'2026-01-01T00:00:00+00:00'").await;
        subscribed(&app, &second).await.fails(404, "not_found");
        set("null").await;
        let _ = subscribed(&app, &second).await.is(200);
        assert_eq!(app.delete(&vera, "/api/me/calendar-feed").await.status, 204);
        subscribed(&app, &second).await.fails(404, "not_found");
        assert_eq!(app.delete(&vera, "/api/me/calendar-feed").await.status, 204, "there is none already");
        assert_eq!(state(&vera).await, json!({ "active": false }));
        let events = app.get(&ana, "/api/audit?topic=calendar_feeds").await.is(200).json;
        assert_eq!(events["data"].as_array().unwrap().len(), 3);

        // Who sees no activities gives none away.
        app.ask(&rui, "/api/me/calendar-feed").await.fails(403, "forbidden");
        let narrow = Person { token: app.token(&ana.email, &["contacts:view"]).await, ..ana.clone() };
        app.ask(&narrow, "/api/me/calendar-feed").await.fails(403, "forbidden");
        app.finish().await;
    }

    async fn a_feed_shows_what_its_owner_may_see_by_now(kind: Kind) {
        let app = app(kind).await;
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let role = json!({ "name": "Own", "grants": { "activities": { "view": "own" } }, "hidden": { "activities": ["note"] }, "user_ids": [rui.id] });
        let role = app.post(&ana, "/api/roles", role).await.is(201).id();
        let soon = chrono::Utc::now() + chrono::TimeDelta::days(3);
        made(&app, &ana, json!({ "title": "own", "due_at": soon, "owner_id": rui.id, "note": "A secret" })).await;
        made(&app, &ana, json!({ "title": "invited", "due_at": soon, "guest_ids": [rui.id] })).await;
        let path = feed(&app, &rui).await;
        let text = subscribed(&app, &path).await.is(200).text;
        assert!(text.contains("SUMMARY:own\r\n") && !text.contains("invited") && !text.contains("secret"), "{text}");
        assert_eq!(app.delete(&ana, &format!("/api/roles/{role}")).await.status, 204);
        let text = subscribed(&app, &path).await.is(200).text;
        assert!(events(&text).is_empty(), "{text}");
        app.finish().await;
    }
}
