//! The deal board: paging, sums, dragging, forecast, history.

use std::collections::BTreeSet;

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

/// A pipeline with three stages: `lead` of 10 %, `offer` of 33 % and three days, `won` of 100 %.
struct Shop {
    app: TestApp,
    ana: Person,
    pipeline: String,
    stages: [String; 3],
}

impl Shop {
    async fn open(kind: tests::database::Kind) -> Self {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (pipeline, stages) = pipeline(&app, &ana, "Vendas").await;
        Self { app, ana, pipeline, stages }
    }

    async fn deal(&self, name: &str, stage: usize, more: Value) -> String {
        let mut body = json!({ "name": name, "pipeline_id": self.pipeline, "stage_id": self.stages[stage] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.app.post(&self.ana, "/api/deals", body).await.is(201).id()
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ana, path).await.is(200).json
    }

    async fn drag(&self, deal: &str, body: Value) -> Answer {
        self.app.post(&self.ana, &format!("/api/deals/{deal}/move"), body).await
    }

    /// The names of a stage's deals, as the board shows them.
    async fn names(&self, stage: usize) -> Vec<String> {
        let page = self.get(&format!("/api/deals/board/stages/{}?limit=100", self.stages[stage])).await;
        page["data"].as_array().unwrap().iter().map(|deal| deal["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Every deal's version and place, by its id.
    async fn written(&self) -> BTreeSet<String> {
        let all = self.get("/api/deals?limit=200").await;
        let told = |deal: &Value| format!("{} {} {} {}", deal["id"], deal["version"], deal["stage_id"], deal["position"]);
        all["data"].as_array().unwrap().iter().map(told).collect()
    }
}

async fn pipeline(app: &TestApp, who: &Person, name: &str) -> (String, [String; 3]) {
    let pipeline = app.post(who, "/api/pipelines", json!({ "name": name })).await.is(201).id();
    let mut stages = Vec::new();
    for (n, (name, probability, days)) in [("Lead", 10, None), ("Offer", 33, Some(3)), ("Won", 100, None)].into_iter().enumerate() {
        let body = json!({ "name": name, "pipeline_id": pipeline, "position": n, "probability": probability, "rotting_days": days });
        stages.push(app.post(who, "/api/stages", body).await.is(201).id());
    }
    (pipeline, stages.try_into().unwrap())
}

on_both_databases! {
    async fn the_board_shows_every_stage_with_its_sums(kind: Kind) {
        let shop = Shop::open(kind).await;
        let company = shop.app.post(&shop.ana, "/api/companies", json!({ "name": "Acme" })).await.is(201).id();
        for (name, stage, more) in [
            ("a", 1, json!({ "amount": "333.33", "company_id": company })),
            ("b", 1, json!({ "amount": "0.05" })),
            ("c", 1, json!({ "amount": "0.50", "currency": "EUR" })),
            ("d", 1, json!({})),
            ("e", 0, json!({ "amount": "0.05" })),
            ("f", 0, json!({ "amount": "999", "status": "won" })),
            ("g", 0, json!({ "amount": "999", "status": "lost" })),
        ] {
            shop.deal(name, stage, more).await;
        }
        let gone = shop.deal("h", 0, json!({ "amount": "999" })).await;
        assert_eq!(shop.app.delete(&shop.ana, &format!("/api/deals/{gone}")).await.status, 204);
        let board = shop.get("/api/deals/board").await;
        assert_eq!(board["pipeline_id"], json!(shop.pipeline));
        let stages = board["data"].as_array().unwrap();
        assert_eq!(stages.iter().map(|stage| &stage["label"]).collect::<Vec<_>>(), ["Lead", "Offer", "Won"]);
        let [lead, offer, won] = [&stages[0], &stages[1], &stages[2]];
        // 5 cents × 10 % is half a cent.
        assert_eq!(lead["totals"], json!([{ "currency": "BRL", "count": 1, "sum": "0.05", "weighted": "0.01" }]));
        assert_eq!(offer["totals"], json!([
            { "currency": "BRL", "count": 3, "sum": "333.38", "weighted": "110.02" },
            { "currency": "EUR", "count": 1, "sum": "0.50", "weighted": "0.17" },
        ]));
        assert_eq!((&lead["count"], &offer["count"], &won["count"], &won["totals"], &won["deals"]), (&json!(1), &json!(4), &json!(0), &json!([]), &json!([])));
        assert_eq!(offer["deals"][0]["_labels"]["company_id"], "Acme");
        assert_eq!(offer["deals"].as_array().unwrap().iter().map(|deal| &deal["name"]).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(shop.get(&format!("/api/deals/board?pipeline_id={}", shop.pipeline)).await, board);

        // Narrowed, sums and all.
        let filter = r#"/api/deals/board?filter={"field":"currency","op":"eq","value":"EUR"}"#;
        let board = shop.get(filter).await;
        assert_eq!((&board["data"][0]["count"], &board["data"][1]["count"], &board["data"][1]["deals"][0]["name"]), (&json!(0), &json!(1), &json!("c")));
        assert_eq!(shop.get("/api/deals/board?q=B").await["data"][1]["totals"][0]["sum"], "0.05");
        let wrong = r#"/api/deals/board?filter={"field":"nonsense","op":"eq","value":1}"#;
        assert_eq!(shop.app.get(&shop.ana, wrong).await.status, 422);
        shop.app.get(&shop.ana, "/api/deals/board?filter=x").await.faults(&[("/filter", "invalid")]);

        // What somebody put into the trash with deals in it is still seen.
        for stage in [&shop.stages[1], &shop.stages[2]] {
            assert_eq!(shop.app.delete(&shop.ana, &format!("/api/stages/{stage}")).await.status, 204);
        }
        let labels = shop.get("/api/deals/board").await["data"].as_array().unwrap().iter().map(|stage| stage["label"].clone()).collect::<Vec<_>>();
        assert_eq!(labels, ["Lead", "Offer"]);
        shop.app.finish().await;
    }

    async fn a_stage_is_paged_once_each_while_others_move(kind: Kind) {
        let shop = Shop::open(kind).await;
        let mut made = BTreeSet::new();
        for n in 0..57 {
            made.insert(shop.deal(&format!("deal {n}"), 0, json!({})).await);
        }
        let other = shop.deal("other", 1, json!({})).await;
        // Deals of one place stand in the order of their ids.
        shop.app.execute("update deals set position = 'i00003' where position in ('i00004', 'i00005', 'i00006', 'i00007', 'i00008')").await;
        let board = shop.get("/api/deals/board?limit=5").await;
        let front = board["data"][0]["deals"][0]["id"].clone();
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        let mut take = |deals: &Value| {
            for deal in deals.as_array().unwrap() {
                assert!(seen.insert(deal["id"].as_str().unwrap().to_owned()), "twice: {deal}");
                order.push((deal["position"].as_str().unwrap().to_owned(), deal["id"].as_str().unwrap().to_owned()));
            }
        };
        take(&board["data"][0]["deals"]);
        assert_eq!((board["data"][0]["deals"].as_array().unwrap().len(), &board["data"][0]["count"], &board["data"][1]["next_cursor"]), (5, &json!(57), &Value::Null));
        let mut cursor = board["data"][0]["next_cursor"].as_str().map(str::to_owned);
        let mut pages = 0;
        while let Some(next) = cursor {
            let page = shop.get(&format!("/api/deals/board/stages/{}?limit=7&cursor={next}", shop.stages[0])).await;
            take(&page["data"]);
            cursor = page["page"]["next_cursor"].as_str().map(str::to_owned);
            pages += 1;
            if pages == 2 {
                // One comes to the front, where we have been.
                let _ = shop.drag(&other, json!({ "stage_id": shop.stages[0], "before": front })).await.is(200);
            }
        }
        assert_eq!((pages, seen), (8, made));
        assert!(order.is_sorted());
        shop.app.get(&shop.ana, &format!("/api/deals/board/stages/{}?cursor=x", shop.stages[0])).await.faults(&[("/cursor", "invalid")]);
        shop.app.finish().await;
    }

    async fn a_drag_writes_one_deal(kind: Kind) {
        let shop = Shop::open(kind).await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d"] {
            ids.push(shop.deal(name, 0, json!({})).await);
        }
        let elsewhere = shop.deal("x", 1, json!({})).await;
        assert_eq!(shop.names(0).await, ["a", "b", "c", "d"], "new ones come last");
        let lead = json!(shop.stages[0]);
        for (deal, body, expected) in [
            (&ids[3], json!({ "stage_id": lead, "after": ids[0], "before": ids[1] }), "a d b c"),
            (&ids[0], json!({ "stage_id": lead, "after": ids[1] }), "d b a c"),
            (&ids[2], json!({ "stage_id": lead, "before": ids[3] }), "c d b a"),
            (&ids[2], json!({ "stage_id": lead }), "d b a c"),
            (&elsewhere, json!({ "stage_id": lead, "before": ids[1] }), "d x b a c"),
        ] {
            let before = shop.written().await;
            let moved = shop.drag(deal, body.clone()).await.is(200);
            assert_eq!(moved.header("etag"), format!("\"{}\"", moved.json["version"]));
            assert_eq!(shop.names(0).await, expected.split(' ').collect::<Vec<_>>(), "{body}");
            assert_eq!(shop.written().await.difference(&before).count(), 1, "only the one that was dragged");
            let before = shop.written().await;
            let _ = shop.drag(deal, body).await.is(200);
            assert_eq!(shop.written().await, before, "it is there already");
        }
        assert_eq!(shop.names(1).await, [] as [&str; 0]);
        let listed = shop.get("/api/deals?sort=position&fields=name").await;
        assert_eq!(listed["data"].as_array().unwrap().iter().map(|deal| &deal["name"]).collect::<Vec<_>>(), ["d", "x", "b", "a", "c"], "lists agree");

        // Into another stage: since now, with its time in the one before.
        let history = shop.get(&format!("/api/deals/{elsewhere}/stages")).await["data"].clone();
        let [offer, lead] = [&history[0], &history[1]];
        assert_eq!((&offer["label"], &lead["label"], &history[2]), (&json!("Offer"), &json!("Lead"), &Value::Null));
        assert!(offer["left_at"].is_string() && offer["seconds"].as_i64().unwrap() < 60 && lead["left_at"].is_null());
        let deal = shop.get(&format!("/api/deals/{elsewhere}")).await;
        let second = |time: &Value| chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        assert!((second(&deal["stage_entered_at"]) - second(&lead["entered_at"])).abs() < chrono::TimeDelta::seconds(5));
        assert_eq!(deal["stage_id"], json!(shop.stages[0]));

        // Without a drag, it enters at the end.
        let _ = shop.app.patch(&shop.ana, &format!("/api/deals/{}", ids[3]), json!({ "stage_id": shop.stages[1] })).await.is(200);
        let _ = shop.app.patch(&shop.ana, &format!("/api/deals/{}", ids[3]), json!({ "stage_id": shop.stages[0] })).await.is(200);
        assert_eq!(shop.names(0).await, ["x", "b", "a", "c", "d"]);
        shop.app.patch(&shop.ana, &format!("/api/deals/{}", ids[3]), json!({ "position": "a" })).await.faults(&[("/position", "unknown_field")]);
        shop.app.finish().await;
    }

    async fn where_there_is_no_room_the_stage_gets_new_places(kind: Kind) {
        let shop = Shop::open(kind).await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d"] {
            ids.push(shop.deal(name, 0, json!({})).await);
        }
        let before = shop.get(&format!("/api/deals/{}", ids[1])).await;
        shop.app.execute("update deals set position = 'i' where name in ('a', 'b', 'c')").await;
        let _ = shop.drag(&ids[3], json!({ "stage_id": shop.stages[0], "after": ids[0] })).await.is(200);
        assert_eq!(shop.names(0).await, ["a", "d", "b", "c"]);
        let after = shop.get(&format!("/api/deals/{}", ids[1])).await;
        assert!(after["version"].as_i64() > before["version"].as_i64() && after["updated_at"] == before["updated_at"]);

        // A text that would be too long.
        let full = "i".repeat(200);
        shop.app.execute(&format!("update deals set position = '{full}' where name = 'a'")).await;
        shop.app.execute(&format!("update deals set position = '{}j' where name = 'd'", &full[..199])).await;
        shop.app.execute("update deals set position = 'k' where name = 'b'").await;
        shop.app.execute("update deals set position = 'l' where name = 'c'").await;
        let moved = shop.drag(&ids[2], json!({ "stage_id": shop.stages[0], "after": ids[0], "before": ids[3] })).await.is(200);
        assert_eq!(shop.names(0).await, ["a", "c", "d", "b"]);
        assert!(moved.json["position"].as_str().unwrap().len() < 10);
        shop.app.finish().await;
    }

    async fn two_who_drop_into_one_gap_get_two_places(kind: Kind) {
        let shop = Shop::open(kind).await;
        let (first, last) = (shop.deal("first", 0, json!({})).await, shop.deal("last", 0, json!({})).await);
        let mut others = Vec::new();
        for n in 0..8 {
            others.push(shop.deal(&format!("deal {n}"), 1, json!({})).await);
        }
        let body = json!({ "stage_id": shop.stages[0], "after": first, "before": last });
        let drops = others.iter().map(|deal| shop.drag(deal, body.clone()));
        for answer in futures::future::join_all(drops).await {
            let _ = answer.is(200);
        }
        let page = shop.get(&format!("/api/deals/board/stages/{}", shop.stages[0])).await;
        let deals = page["data"].as_array().unwrap();
        let places: BTreeSet<_> = deals.iter().map(|deal| deal["position"].as_str().unwrap()).collect();
        assert_eq!((deals.len(), places.len()), (10, 10));
        assert_eq!((&deals[0]["name"], &deals[9]["name"]), (&json!("first"), &json!("last")));

        // One deal that two drag into two stages is in one of them, and its history agrees.
        let [offer, won] = [1, 2].map(|stage| json!({ "stage_id": shop.stages[stage] }));
        let (one, two) = tokio::join!(shop.drag(&first, offer), shop.drag(&first, won));
        let _ = (one.is(200), two.is(200));
        let history = shop.get(&format!("/api/deals/{first}/stages")).await["data"].clone();
        let open: Vec<_> = history.as_array().unwrap().iter().filter(|visit| visit["left_at"].is_null()).collect();
        assert_eq!((history.as_array().unwrap().len(), open.len()), (3, 1));
        assert_eq!(open[0]["stage_id"], shop.get(&format!("/api/deals/{first}")).await["stage_id"]);

        // Who saw them the other way round looks again.
        let wrong = json!({ "stage_id": shop.stages[0], "after": last, "before": others[0] });
        shop.drag(&others[1], wrong).await.fails(409, "moved");
        shop.app.finish().await;
    }

    async fn a_deal_rots_where_it_stays_too_long(kind: Kind) {
        let shop = Shop::open(kind).await;
        for (name, stage, days) in [("fresh", 1, 2), ("old", 1, 4), ("patient", 0, 400)] {
            shop.deal(name, stage, json!({})).await;
            let since = (chrono::Utc::now() - chrono::TimeDelta::days(days)).to_rfc3339();
            shop.app.execute(&format!("update deals set stage_entered_at = '{since}' where name = '{name}'")).await;
        }
        let board = shop.get("/api/deals/board").await;
        let rotting = |stage: usize, at: usize| (board["data"][stage]["deals"][at]["name"].clone(), board["data"][stage]["deals"][at]["rotting"].clone());
        assert_eq!(rotting(0, 0), (json!("patient"), json!(false)));
        assert_eq!(rotting(1, 0), (json!("fresh"), json!(false)));
        assert_eq!(rotting(1, 1), (json!("old"), json!(true)));
        let page = shop.get(&format!("/api/deals/board/stages/{}", shop.stages[1])).await;
        assert_eq!(page["data"], board["data"][1]["deals"]);
        shop.app.finish().await;
    }

    async fn the_forecast_adds_up_by_month(kind: Kind) {
        let shop = Shop::open(kind).await;
        for (name, stage, amount, day, more) in [
            ("a", 0, "100.00", "2026-11-30", json!({})),
            ("b", 1, "200.00", "2026-12-01", json!({})),
            ("c", 0, "0.15", "2026-12-31", json!({})),
            ("d", 1, "50.00", "2026-12-10", json!({ "status": "won" })),
            ("e", 1, "70.00", "2026-12-10", json!({ "status": "lost" })),
            ("f", 2, "10.00", "2026-12-24", json!({ "currency": "USD" })),
        ] {
            let mut body = json!({ "amount": amount, "expected_close": day });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            shop.deal(name, stage, body).await;
        }
        shop.deal("some day", 0, json!({ "amount": "1000" })).await;
        let (other, stages) = pipeline(&shop.app, &shop.ana, "Parcerias").await;
        let body = json!({ "name": "z", "pipeline_id": other, "stage_id": stages[2], "amount": "1", "expected_close": "2026-11-01" });
        let _ = shop.app.post(&shop.ana, "/api/deals", body).await.is(201);
        let month = |month: &str, currency: &str, count: u64, open: &str, weighted: &str, won: &str| {
            json!({ "month": month, "currency": currency, "count": count, "open": open, "weighted": weighted, "won": won })
        };
        let all = shop.get("/api/deals/forecast").await["data"].clone();
        // 200 × 33 % and 15 cents × 10 %, rounded once.
        let december = [month("2026-12", "BRL", 3, "200.15", "66.02", "50.00"), month("2026-12", "USD", 1, "10.00", "10.00", "0.00")];
        assert_eq!(all, json!([month("2026-11", "BRL", 2, "101.00", "11.00", "0.00"), december[0], december[1]]));
        let own = shop.get(&format!("/api/deals/forecast?pipeline_id={}", shop.pipeline)).await["data"].clone();
        assert_eq!(own[0], month("2026-11", "BRL", 1, "100.00", "10.00", "0.00"));
        assert_eq!(shop.get("/api/deals/forecast?from=2026-12-01&to=2026-12-31").await["data"], json!(december));
        let few = shop.get("/api/deals/forecast?from=2026-12-02&to=2026-12-30").await["data"].clone();
        assert_eq!(few[0], month("2026-12", "BRL", 1, "0.00", "0.00", "50.00"));
        assert_eq!(shop.app.get(&shop.ana, "/api/deals/forecast?from=x").await.status, 422);
        shop.app.finish().await;
    }

    async fn what_is_not_theirs_is_not_there(kind: Kind) {
        let shop = Shop::open(kind).await;
        let deal = shop.deal("a", 0, json!({})).await;
        let (eva, vera) = (shop.app.person("outra", Role::Admin).await, shop.app.person("loja", Role::Viewer).await);
        let (theirs, stages) = pipeline(&shop.app, &eva, "Vendas").await;
        let body = json!({ "name": "hers", "pipeline_id": theirs, "stage_id": stages[0] });
        let hers = shop.app.post(&eva, "/api/deals", body).await.is(201).id();

        shop.app.get(&shop.ana, &format!("/api/deals/board?pipeline_id={theirs}")).await.fails(404, "not_found");
        shop.app.get(&shop.ana, &format!("/api/deals/forecast?pipeline_id={theirs}")).await.fails(404, "not_found");
        shop.app.get(&shop.ana, &format!("/api/deals/board/stages/{}", stages[0])).await.fails(404, "not_found");
        shop.app.get(&shop.ana, &format!("/api/deals/{hers}/stages")).await.fails(404, "not_found");
        shop.drag(&hers, json!({ "stage_id": stages[0] })).await.fails(404, "not_found");
        shop.drag(&hers, json!({ "stage_id": shop.stages[0] })).await.fails(404, "not_found");
        shop.drag(&deal, json!({ "stage_id": stages[0] })).await.faults(&[("/stage_id", "not_found")]);
        shop.drag(&deal, json!({ "stage_id": stages[0], "after": hers })).await.faults(&[("/after", "not_found")]);
        shop.drag(&deal, json!({ "stage_id": shop.stages[0], "after": hers })).await.faults(&[("/after", "not_found")]);
        shop.drag(&deal, json!({ "stage_id": shop.stages[1], "before": hers })).await.faults(&[("/before", "not_found")]);
        shop.drag(&deal, json!({ "stage_id": shop.stages[1], "before": deal })).await.faults(&[("/before", "invalid")]);
        let board = shop.app.get(&eva, "/api/deals/board").await.is(200);
        assert!(board.text.contains(&hers) && !board.text.contains(&deal) && !board.text.contains(&shop.stages[0]));
        let nobody = shop.app.person("vazia", Role::Admin).await;
        assert_eq!(shop.app.get(&nobody, "/api/deals/board").await.is(200).json, json!({ "pipeline_id": null, "data": [] }));

        // A viewer looks, and moves nothing.
        let before = shop.written().await;
        assert!(shop.app.get(&vera, "/api/deals/board").await.is(200).text.contains(&deal));
        let _ = shop.app.get(&vera, &format!("/api/deals/{deal}/stages")).await.is(200);
        shop.app.post(&vera, &format!("/api/deals/{deal}/move"), json!({ "stage_id": shop.stages[1] })).await.fails(403, "forbidden");
        assert_eq!(shop.written().await, before);

        // A token for other things sees none of it.
        let mut narrow = shop.ana.clone();
        narrow.token = shop.app.token(&shop.ana.email, &["contacts:view", "deals:edit"]).await;
        for path in ["/api/deals/board", "/api/deals/forecast"] {
            shop.app.get(&narrow, path).await.fails(403, "forbidden");
        }
        narrow.token = shop.app.token(&shop.ana.email, &["deals:view"]).await;
        let board = shop.app.get(&narrow, "/api/deals/board").await.is(200).json;
        assert_eq!((board["data"][0].get("label"), &board["data"][0]["count"]), (None, &json!(1)), "what stages are called is another thing");
        shop.app.finish().await;
    }

    async fn who_reaches_only_their_own_sees_only_that(kind: Kind) {
        let shop = Shop::open(kind).await;
        let bia = shop.app.person("loja", Role::Member).await;
        shop.deal("hers", 0, json!({ "owner_id": bia.id, "amount": "5" })).await;
        let other = shop.deal("not hers", 0, json!({ "amount": "900" })).await;
        let role = json!({ "name": "Seller", "grants": { "deals": { "view": "own", "edit": "own" }, "stages": { "view": "all" } }, "user_ids": [bia.id] });
        let role = shop.app.post(&shop.ana, "/api/roles", role).await.is(201).id();
        let lead = shop.app.get(&bia, "/api/deals/board").await.is(200).json["data"][0].clone();
        assert_eq!((&lead["count"], &lead["totals"][0]["sum"], &lead["deals"][0]["name"]), (&json!(1), &json!("5.00"), &json!("hers")));
        let body = json!({ "stage_id": shop.stages[1] });
        shop.app.post(&bia, &format!("/api/deals/{other}/move"), body).await.fails(404, "not_found");
        let hers = lead["deals"][0]["id"].as_str().unwrap();
        let beside = json!({ "stage_id": shop.stages[0], "after": other });
        shop.app.post(&bia, &format!("/api/deals/{hers}/move"), beside).await.faults(&[("/after", "not_found")]);

        // Who doesn't get to see amounts doesn't see their sums either.
        let _ = shop.app.patch(&shop.ana, &format!("/api/roles/{role}"), json!({ "hidden": { "deals": ["amount"] } })).await.is(200);
        // What a token may is kept for some seconds; a new one knows better at once.
        let bia = Person { token: shop.app.token(&bia.email, &["*"]).await, ..bia };
        let lead = shop.app.get(&bia, "/api/deals/board").await.is(200).json["data"][0].clone();
        assert_eq!((&lead["count"], &lead["totals"]), (&json!(1), &json!([])));
        shop.app.get(&bia, "/api/deals/forecast").await.fails(403, "forbidden");
        shop.app.finish().await;
    }
}
