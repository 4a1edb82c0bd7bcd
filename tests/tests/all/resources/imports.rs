//! Files whose rows become records: looked at, tried, taken, mended, taken back. What a file says is what is counted.

use domain::{
    entities::Role,
    payloads::{DeliverWebhook, RunImport},
};
use futures::StreamExt;
use jobs::queue::{IMPORTS, MAINTENANCE};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

/// Uploads a file whose rows become records of a topic.
async fn upload(app: &TestApp, who: &Person, topic: &str, bytes: &[u8], more: &[(&str, &str)]) -> Answer {
    let file = Part::bytes(bytes.to_vec()).file_name("contacts.csv").mime_str("text/csv").unwrap();
    let form = more.iter().fold(Form::new().part("file", file), |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
    app.send(app.request(Method::POST, &format!("/api/{topic}/import")).bearer_auth(&who.token).multipart(form)).await
}

/// The options that SOMO suggests, with these over them.
fn options(import: &Answer, more: Value) -> Value {
    let mut options = import.json["options"].clone();
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

/// Starts it and lets the workers do it.
async fn run(app: &TestApp, who: &Person, import: &Answer, more: Value) -> Answer {
    let _ = app.post(who, &format!("/api/imports/{}/start", import.id()), options(import, more)).await.is(202);
    assert_eq!(app.work(IMPORTS).await, 1);
    let done = app.get(who, &format!("/api/imports/{}", import.id())).await.is(200);
    assert_eq!(done.json["state"], "done", "{}", done.json);
    done
}

/// How many were created, updated, unchanged, skipped, and how many failed.
fn counts(import: &Answer) -> [u64; 5] {
    ["created", "updated", "unchanged", "skipped", "failed"].map(|name| import.json[name].as_u64().unwrap())
}

/// Everything of a topic, oldest first.
async fn all(app: &TestApp, who: &Person, topic: &str) -> Vec<Value> {
    app.get(who, &format!("/api/{topic}?sort=created_at&limit=200")).await.is(200).json["data"].as_array().unwrap().clone()
}

async fn errors(app: &TestApp, who: &Person, import: &Answer) -> Vec<Value> {
    app.get(who, &format!("/api/imports/{}/errors?limit=200", import.id())).await.is(200).json["data"].as_array().unwrap().clone()
}

on_both_databases! {
    async fn a_file_is_looked_at_before_anything_is_written(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let bia = app.person("loja", Role::Agent).await;
        let _ = app.post(&ana, "/api/custom-fields", json!({ "topic": "contacts", "key": "plan", "name": "Plano", "kind": "select",
            "options": [{ "value": "Ouro" }, { "value": "Prata" }] })).await.is(201);
        let acme = app.post(&ana, "/api/companies", json!({ "name": "Acme" })).await.is(201).id();
        let file = "Nome;Sobrenome;E-mail;Celular;Empresa;Nascimento;Plano;Pedido\n\
            Ana;Souza;ANA@example.com, ana@home.example;(11) 98765-4321;ACME;31/12/1990;ouro;17\n\
            Bruno;;bruno@example;;Outra;;;18\n";
        let import = upload(&app, &ana, "contacts", file.as_bytes(), &[]).await.is(201);
        assert_eq!((&import.json["state"], &import.json["total"]), (&json!("ready"), &json!(2)));
        let shape = &import.json["file"];
        assert_eq!((&shape["format"], &shape["delimiter"], &shape["encoding"]), (&json!("csv"), &json!(";"), &json!("UTF-8")));
        assert_eq!(shape["columns"][4], json!({ "name": "Empresa", "samples": ["ACME", "Outra"] }));
        let suggested: Vec<_> = import.json["options"]["columns"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(suggested, ["first_name", "last_name", "emails", "phones", "company_ids", "birthday", "custom.plan"]);

        let path = format!("/api/imports/{}", import.id());
        let rows = app.post(&ana, &format!("{path}/preview"), import.json["options"].clone()).await.is(200).json["rows"].clone();
        let record = &rows[0]["record"];
        assert_eq!((&rows[0]["outcome"], &rows[0]["line"], &record["last_name"]), (&json!("created"), &json!(2), &json!("Souza")));
        assert_eq!(record["emails"], json!([{ "email": "ana@example.com", "kind": "work" }, { "email": "ana@home.example", "kind": "work" }]));
        assert_eq!(record["phones"], json!([{ "number": "+5511987654321", "kind": "mobile" }]));
        assert_eq!((&record["company_ids"], &record["birthday"], &record["custom"]), (&json!([acme]), &json!("1990-12-31"), &json!({ "plan": "Ouro" })));
        assert_eq!((&rows[1]["outcome"], &rows[1]["code"], &rows[1]["pointer"]), (&json!("failed"), &json!("invalid"), &json!("/emails")));
        assert!(rows[1]["message"].as_str().unwrap().contains("create_missing"), "{}", rows[1]["message"]);
        assert_eq!(all(&app, &ana, "contacts").await.len(), 0);

        // One's own; what nobody understands is named.
        app.get(&bia, &path).await.fails(404, "not_found");
        assert_eq!(app.get(&bia, "/api/imports").await.is(200).json["data"], json!([]));
        assert_eq!(app.get(&ana, "/api/imports").await.is(200).json["data"][0]["id"], json!(import.id()));
        let wrong = json!({
            "columns": [{ "column": 0, "field": "nickname" }, { "column": 9, "field": "emails" }, { "column": 2, "field": "emails", "kind": "secret" }],
            "match_by": ["birthday"], "country": "0", "decimal": "x", "tags": [" "], "values": { "version": 3 },
        });
        app.post(&ana, &format!("{path}/start"), wrong).await.faults(&[
            ("/columns/0/field", "unknown_field"),
            ("/columns/1/column", "invalid"),
            ("/columns/2/kind", "invalid"),
            ("/match_by/0", "invalid"),
            ("/values/version", "unknown_field"),
            ("/columns", "required"),
            ("/tags", "invalid"),
            ("/decimal", "invalid"),
            ("/country", "invalid"),
        ]);
        assert_eq!(app.work(IMPORTS).await, 0);
        assert_eq!(app.delete(&ana, &path).await.status, 204);
        app.get(&ana, &path).await.fails(404, "not_found");
        assert_eq!(app.work(MAINTENANCE).await, 1);
        app.finish().await;
    }

    async fn rows_find_the_records_that_are_there(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let known = json!({ "first_name": "Ana", "emails": [{ "email": "ana@example.com" }], "phones": [{ "number": "+5511911112222" }], "tags": ["vip"], "city": "Recife" });
        let known = app.post(&ana, "/api/contacts", known).await.is(201);
        // By the address, by the number, by each other; an empty cell changes nothing.
        let file = "First name,Email,Phone,City,Tags\n\
            Ana Maria,ana@example.com,,,novo\n\
            Ana Maria,,+5511911112222,Olinda,\n\
            Bruno,bruno@example.com,+5511933334444,Natal,\n\
            Bruno,,11 93333-4444,Natal,\n\
            Carla,,,,\n\
            Bruno,bruno@example.com,+5511955556666,,\n";
        let import = upload(&app, &ana, "contacts", file.as_bytes(), &[]).await.is(201);
        let tried = run(&app, &ana, &import, json!({ "dry_run": true, "tags": ["feira"] })).await;
        let done = run(&app, &ana, &import, json!({ "tags": ["feira"] })).await;
        assert_eq!((counts(&done), all(&app, &ana, "contacts").await.len()), ([2, 3, 1, 0, 0], 3));
        assert_eq!(counts(&tried)[0], 2, "{}", tried.json);
        let ana_maria = app.get(&ana, &format!("/api/contacts/{}", known.id())).await.is(200).json;
        assert_eq!((&ana_maria["first_name"], &ana_maria["city"], &ana_maria["tags"]), (&json!("Ana Maria"), &json!("Olinda"), &json!(["feira", "novo", "vip"])));
        assert_eq!(ana_maria["origin"], "manual");
        let contacts = all(&app, &ana, "contacts").await;
        let bruno = contacts.iter().find(|one| one["first_name"] == "Bruno").unwrap();
        assert_eq!((&bruno["origin"], &bruno["owner_id"]), (&json!("import"), &json!(ana.id)));
        assert_eq!(bruno["phones"].as_array().unwrap().len(), 2);
        // Each of them is in the history, and found by its words.
        let told = app.get(&ana, &format!("/api/contacts/{}/timeline", known.id())).await.is(200).json;
        let told: Vec<_> = told["data"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
        assert_eq!(told, ["updated", "updated", "created"]);
        let found = app.get(&ana, "/api/contacts?q=bruno%40example").await.is(200);
        assert_eq!(found.json["data"].as_array().unwrap().len(), 1);
        // The same file once more, and as nothing but new ones.
        let again = upload(&app, &ana, "contacts", file.as_bytes(), &[]).await.is(201);
        assert_eq!(counts(&run(&app, &ana, &again, json!({ "on_match": "skip" })).await), [1, 0, 0, 5, 0], "who has neither address nor number is nobody's double");
        let apart = upload(&app, &ana, "contacts", file.as_bytes(), &[]).await.is(201);
        assert_eq!(counts(&run(&app, &ana, &apart, json!({ "match_by": [] })).await), [6, 0, 0, 0, 0]);
        app.finish().await;
    }

    async fn a_hundred_bad_rows_among_ten_thousand_are_told_mended_and_taken(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let mut file = "name,domain,employees\n".to_owned();
        for n in 0..10_000 {
            let employees = if n % 100 == 7 { "many".to_owned() } else { n.to_string() };
            file.push_str(&format!("Company {n},c{n}.example,{employees}\n"));
        }
        let import = upload(&app, &ana, "companies", file.as_bytes(), &[]).await.is(201);
        let done = run(&app, &ana, &import, json!({})).await;
        assert_eq!((counts(&done), &done.json["total"]), ([9_900, 0, 0, 0, 100], &json!(10_000)));
        let told = errors(&app, &ana, &import).await;
        assert_eq!(told.len(), 100);
        assert_eq!(told[0]["line"], 9);
        assert_eq!((&told[0]["pointer"], &told[0]["cells"]), (&json!("/employees"), &json!(["Company 7", "c7.example", "many"])));

        let path = format!("/api/imports/{}/errors/content", import.id());
        let response = app.request(Method::GET, &path).bearer_auth(&ana.token).send().await.unwrap();
        assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let sheet = response.text().await.unwrap();
        assert_eq!(sheet.lines().count(), 101);
        assert!(sheet.contains("\"many\"\" is no whole number") || sheet.contains("is no whole number"), "{}", sheet.lines().nth(1).unwrap());
        // Mended and uploaded again: the same is made of it.
        let mended = upload(&app, &ana, "companies", sheet.replace("many,", "5,").as_bytes(), &[("fixes", &import.id())]).await.is(201);
        assert_eq!((&mended.json["fixes_id"], mended.json["options"]["columns"].as_array().unwrap().len()), (&json!(import.id()), 3));
        assert_eq!(counts(&run(&app, &ana, &mended, json!({})).await), [100, 0, 0, 0, 0]);
        let page = app.post(&ana, "/api/companies/query", json!({ "count": "exact", "limit": 1 })).await.is(200);
        assert_eq!(page.json["page"]["total"], 10_000);
        app.finish().await;
    }

    async fn an_import_is_taken_back_but_for_what_changed_since(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let before = json!({ "name": "Acme", "domain": "acme.example", "employees": 3, "tags": ["old"] });
        let known = app.post(&ana, "/api/companies", before).await.is(201);
        let file = "name,domain,employees,tags\nAcme SA,acme.example,10,new\nAcme SA,acme.example,11,\nBeta,beta.example,2,\nGama,gama.example,3,\n";
        let import = upload(&app, &ana, "companies", file.as_bytes(), &[]).await.is(201);
        let path = format!("/api/imports/{}", import.id());
        app.ask(&ana, &format!("{path}/revert")).await.fails(409, "not_started");
        let _ = app.post(&ana, &format!("{path}/start"), import.json["options"].clone()).await.is(202);
        app.ask(&ana, &format!("{path}/revert")).await.fails(409, "running");
        app.post(&ana, &format!("{path}/start"), import.json["options"].clone()).await.fails(409, "started");
        assert_eq!(app.work(IMPORTS).await, 1);
        let done = app.get(&ana, &path).await.is(200);
        assert_eq!(counts(&done), [2, 2, 0, 0, 0]);
        let gama = all(&app, &ana, "companies").await.into_iter().find(|one| one["name"] == "Gama").unwrap();
        let _ = app.patch(&ana, &format!("/api/companies/{}", gama["id"].as_str().unwrap()), json!({ "employees": 4 })).await.is(200);

        let _ = app.ask(&ana, &format!("{path}/revert")).await.is(202);
        app.ask(&ana, &format!("{path}/revert")).await.fails(409, "reverted");
        assert_eq!(app.work(IMPORTS).await, 1);
        let back = app.get(&ana, &path).await.is(200);
        assert_eq!((&back.json["state"], &back.json["reverted"], &back.json["kept"]), (&json!("reverted"), &json!(2), &json!(1)));
        let acme = app.get(&ana, &format!("/api/companies/{}", known.id())).await.is(200).json;
        for field in ["name", "domain", "employees", "tags"] {
            assert_eq!(acme[field], known.json[field], "{field}");
        }
        let mut left: Vec<_> = all(&app, &ana, "companies").await.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        left.sort();
        assert_eq!(left, ["Acme", "Gama"]);
        app.finish().await;
    }

    async fn what_two_rows_have_in_common_goes_wrong_for_one_of_them(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let _ = app.post(&ana, "/api/companies", json!({ "name": "Taken", "domain": "taken.example" })).await.is(201);
        // Nothing is looked for, and still no two have one domain.
        let file = "name,domain\nA,a.example\nB,a.example\nC,taken.example\nD,d.example\n";
        let import = upload(&app, &ana, "companies", file.as_bytes(), &[]).await.is(201);
        let done = run(&app, &ana, &import, json!({ "match_by": [] })).await;
        assert_eq!(counts(&done), [2, 0, 0, 0, 2]);
        let told: Vec<_> = errors(&app, &ana, &import).await.iter().map(|one| (one["line"].clone(), one["code"].clone())).collect();
        assert_eq!(told, [(json!(3), json!("taken")), (json!(4), json!("taken"))]);
        app.finish().await;
    }

    async fn files_that_are_no_tables_say_what_they_are(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for bytes in [&b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", b"<!DOCTYPE html><html><body><table></table>", b"name,city\n"] {
            let refused = upload(&app, &ana, "contacts", bytes, &[]).await;
            assert_eq!(refused.status, 422, "{}", refused.json);
            assert_eq!(refused.json["errors"][0]["pointer"], "/file", "{}", refused.json);
        }
        // As other programs write them.
        let text = "Nome;E-mail;Cidade\nJoão;joao@example.com;São Paulo\nZoë;zoe@example.com;Ceará\n";
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let tabs = text.replace(';', "\t");
        for (bytes, encoding) in [(utf16, "UTF-16LE"), (latin1, "windows-1252"), (tabs.into_bytes(), "UTF-8")] {
            let import = upload(&app, &ana, "contacts", &bytes, &[]).await.is(201);
            assert_eq!((&import.json["file"]["encoding"], &import.json["file"]["columns"][2]["samples"][0]), (&json!(encoding), &json!("São Paulo")));
        }
        // What is too large is refused before it comes.
        let huge = app.request(Method::POST, "/api/contacts/import").bearer_auth(&ana.token).header("content-type", "multipart/form-data; boundary=x");
        let huge = huge.header("content-length", 2_147_483_648u64).body(reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>()));
        app.send(huge).await.fails(413, "too_large");
        assert_eq!(app.store.list(None).count().await, 3, "what was refused is not kept");
        app.finish().await;
    }

    async fn workbooks_are_taken_and_formulas_are_texts(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let rows = [
            vec![json!("=HYPERLINK(\"http://evil.example\")"), json!("eva@example.com"), json!(5_511_987_654_321_u64), json!("@SUM(A1)")],
            vec![json!("Ana"), json!("ana@example.com"), json!("+55 11 91234-5678"), json!("-1+1")],
        ];
        for format in [tables::Format::Xlsx, tables::Format::Csv] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let columns = ["Nome", "E-mail", "Telefone", "Cidade"].map(str::to_owned);
            let mut writer = tables::writer(format, std::fs::File::create(file.path()).unwrap(), &columns).unwrap();
            rows.iter().for_each(|row| writer.row(row).unwrap());
            writer.finish().unwrap();
            let import = upload(&app, &ana, "contacts", &std::fs::read(file.path()).unwrap(), &[]).await.is(201);
            assert_eq!(import.json["file"]["format"], format.as_str());
            let options = json!({ "columns": (0..4).zip(["first_name", "emails", "phones", "city"]).map(|(column, field)| json!({ "column": column, "field": field })).collect::<Vec<_>>() });
            let done = run(&app, &ana, &import, options).await;
            // The second file says what is there already.
            let expected = if format == tables::Format::Xlsx { [2, 0, 0, 0, 0] } else { [0, 0, 2, 0, 0] };
            assert_eq!(counts(&done), expected, "{}", done.json);
        }
        let contacts = all(&app, &ana, "contacts").await;
        assert_eq!((&contacts[0]["first_name"], &contacts[0]["city"]), (&rows[0][0], &json!("@SUM(A1)")));
        assert_eq!(contacts[0]["phones"][0]["number"], "+5511987654321");
        app.finish().await;
    }

    async fn a_row_that_is_refused_half_way_leaves_its_record_whole(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let caio = app.person("loja", Role::Member).await;
        let all_of = json!({ "view": "all", "create": "all", "edit": "all" });
        let role = json!({ "name": "No tags", "grants": { "contacts": all_of, "tags": { "view": "all" } }, "user_ids": [caio.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        let mut known = Vec::new();
        for name in ["ana", "bia"] {
            let body = json!({ "first_name": name, "emails": [{ "email": format!("{name}@example.com") }], "phones": [{ "number": "+5511911112222" }] });
            known.push(app.post(&ana, "/api/contacts", body).await.is(201));
        }
        // A tag that they may not make: its address and number are written before it is looked at.
        let file = "first_name,emails,phones,tags,city\nana,ana@example.com,+5511933334444,unheard of,Natal\nbia,bia@example.com,+5511955556666,,Natal\n";
        let import = upload(&app, &caio, "contacts", file.as_bytes(), &[]).await.is(201);
        let done = run(&app, &caio, &import, json!({ "match_by": ["emails"] })).await;
        assert_eq!(counts(&done), [0, 1, 0, 0, 1], "{}", done.json);
        let whole = app.get(&ana, &format!("/api/contacts/{}", known[0].id())).await.is(200);
        for field in ["emails", "phones", "tags", "city", "version"] {
            assert_eq!(whole.json[field], known[0].json[field], "{field}");
        }
        let other = app.get(&ana, &format!("/api/contacts/{}", known[1].id())).await.is(200);
        assert_eq!(other.json["phones"].as_array().unwrap().len(), 2);
        app.finish().await;
    }

    async fn ids_of_other_programs_are_left_alone(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let import = upload(&app, &ana, "contacts", b"Record ID,First name\n1001,Ana\n1002,Bia\n", &[]).await.is(201);
        assert_eq!(import.json["options"]["columns"], json!([{ "column": 1, "field": "first_name" }]));
        app.finish().await;
    }

    async fn webhooks_hear_of_each_record(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let hook = json!({ "name": "Loja", "url": "https://example.com/somo", "topics": ["contacts.*"] });
        let hook = app.post(&ana, "/api/webhooks", hook).await.is(201).id();
        let import = upload(&app, &ana, "contacts", b"first_name,email\nAna,ana@example.com\nBia,bia@example.com\nAna B,ana@example.com\n", &[]).await.is(201);
        assert_eq!(counts(&run(&app, &ana, &import, json!({})).await), [2, 1, 0, 0, 0]);
        let told = app.get(&ana, &format!("/api/webhooks/{hook}/deliveries")).await.is(200).json["data"].clone();
        let mut told: Vec<_> = told.as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect();
        told.sort();
        assert_eq!(told, ["created", "created", "updated"]);
        assert_eq!(app.claim_all::<DeliverWebhook>().await.len(), 3);
        app.finish().await;
    }

    async fn nobody_imports_more_than_they_may(kind: Kind) {
        let app = app(kind).await;
        let (ana, vera) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await);
        upload(&app, &vera, "contacts", b"name\nAna\n", &[]).await.fails(403, "forbidden");
        upload(&app, &ana, "users", b"name\nAna\n", &[]).await.fails(405, "method_not_allowed");
        // Who lost the right meanwhile loses it for what is left too.
        let bia = app.person("loja", Role::Agent).await;
        let import = upload(&app, &bia, "contacts", b"first_name\nAna\n", &[]).await.is(201);
        let _ = app.post(&bia, &format!("/api/imports/{}/start", import.id()), import.json["options"].clone()).await.is(202);
        let _ = app.patch(&ana, &format!("/api/users/{}", bia.id), json!({ "role": "viewer" })).await.is(200);
        app.work(IMPORTS).await;
        let failed = app.get(&ana, &format!("/api/imports/{}", import.id())).await.is(200);
        assert_eq!(failed.json["state"], "failed");
        assert!(failed.json["error"].as_str().unwrap().contains("may not"), "{}", failed.json);
        // A foreign import is none.
        let stranger = app.person("outra", Role::Admin).await;
        app.get(&stranger, &format!("/api/imports/{}", import.id())).await.fails(404, "not_found");
        upload(&app, &stranger, "contacts", b"first_name\nAna\n", &[("fixes", &import.id())]).await.faults(&[("/fixes", "not_found")]);
        app.finish().await;
    }

    async fn what_rows_name_is_found_or_made(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let contact = app.post(&ana, "/api/contacts", json!({ "first_name": "Caio", "emails": [{ "email": "caio@example.com" }] })).await.is(201).id();
        for _ in 0..2 {
            let _ = app.post(&ana, "/api/companies", json!({ "name": "Twin" })).await.is(201);
        }
        let pipeline = app.post(&ana, "/api/pipelines", json!({ "name": "Vendas" })).await.is(201).id();
        let _ = app.post(&ana, "/api/stages", json!({ "name": "Novo", "pipeline_id": pipeline })).await.is(201);
        let me = &ana.email;
        let file = format!("Name,Company,Contact,Owner,Amount\nOne,Nova Ltda,caio@example.com,{me},\"R$ 1.234,50\"\nTwo,nova ltda,,,\nThree,Twin,,,\n");
        let import = upload(&app, &ana, "deals", file.as_bytes(), &[]).await.is(201);
        let done = run(&app, &ana, &import, json!({ "create_missing": true })).await;
        assert_eq!(counts(&done), [2, 0, 0, 0, 1]);
        assert_eq!(errors(&app, &ana, &import).await[0]["code"], "ambiguous");
        let deals = all(&app, &ana, "deals").await;
        // As programs write them, and as people here do.
        for (file, decimal) in [("name,price\nA,1234.50\n", json!(".")), ("name,price\nB,\"1.234,50\"\n", Value::Null), ("name,price\nC,1234.567\n", Value::Null)] {
            let import = upload(&app, &ana, "products", file.as_bytes(), &[]).await.is(201);
            assert_eq!(import.json["options"]["decimal"], decimal);
            run(&app, &ana, &import, json!({})).await;
        }
        let products = all(&app, &ana, "products").await;
        assert_eq!(products.iter().map(|one| one["price"].as_str().unwrap()).collect::<Vec<_>>(), ["1234.50", "1234.50"], "what is in doubt is refused");
        assert_eq!((&deals[0]["amount"], &deals[0]["contact_ids"]), (&json!("1234.50"), &json!([contact])));
        assert_eq!(deals[0]["company_id"], deals[1]["company_id"]);
        assert_eq!(all(&app, &ana, "companies").await.len(), 3);
        app.finish().await;
    }

    async fn a_worker_that_dies_repeats_no_row(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let mut file = "first_name,email\n".to_owned();
        for n in 0..1_200 {
            file.push_str(&format!("Contact {n},c{n}@example.com\n"));
        }
        let import = upload(&app, &ana, "contacts", file.as_bytes(), &[]).await.is(201);
        let _ = app.post(&ana, &format!("/api/imports/{}/start", import.id()), import.json["options"].clone()).await.is(202);
        // One part is written by a worker that is gone afterwards.
        let job = app.claim::<RunImport>().await;
        let id: domain::entities::ImportId = serde_json::from_value(job.payload["import_id"].clone()).unwrap();
        let copy = domain::files::at_hand(&*app.store, &domain::resource::import::storage_key(ana.tenant, id)).await.unwrap().unwrap();
        let found = domain::resource::import::run::take_up(app.ledger.db(), ana.tenant, id, copy.path()).await.unwrap();
        let domain::resource::import::run::Found::Running(mut running, scope) = found else { panic!("{found:?}") };
        let write = domain::engine::Write::begin(&app.ledger, &scope).await.unwrap().quietly();
        assert!(!running.step(&write).await.unwrap());
        write.commit(()).await.unwrap();
        // A second one is rolled back.
        let write = domain::engine::Write::begin(&app.ledger, &scope).await.unwrap().quietly();
        running.step(&write).await.unwrap();
        drop(write);
        let found = domain::resource::import::run::take_up(app.ledger.db(), ana.tenant, id, copy.path()).await.unwrap();
        let domain::resource::import::run::Found::Running(mut running, scope) = found else { panic!("{found:?}") };
        loop {
            let write = domain::engine::Write::begin(&app.ledger, &scope).await.unwrap().quietly();
            let last = running.step(&write).await.unwrap();
            write.commit(()).await.unwrap();
            if last {
                break;
            }
        }
        let done = app.get(&ana, &format!("/api/imports/{}", import.id())).await.is(200);
        assert_eq!((counts(&done), &done.json["state"]), ([1_200, 0, 0, 0, 0], &json!("done")));
        let page = app.post(&ana, "/api/contacts/query", json!({ "count": "exact", "limit": 1 })).await.is(200);
        assert_eq!(page.json["page"]["total"], 1_200);
        app.finish().await;
    }
}
