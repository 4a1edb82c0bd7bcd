"""What script/import-load measures: see there."""

import argparse
import json
import random
import sys
import threading
import time
import urllib.request

from installation import Client, Installation, waited

NUMBER = "100000000000001"
CUSTOMERS = 500


def contacts(rows):
    """A file of so many contacts, every tenth of whom was there before, under the address or the number."""
    rng = random.Random(7)
    first = "Ana Bruno Carla Diego Elisa Fábio Gabriela Heitor Inês João Karina Lucas Marina Nuno Olívia Paulo".split()
    last = "Souza Silva Oliveira Santos Pereira Lima Carvalho Ferreira Ribeiro Almeida Costa Gomes".split()
    yield "Nome,Sobrenome,E-mail,Celular,Cidade,Empresa,Tags\n"
    for n in range(rows):
        who = n
        email, phone = f"c{who}@example.com", f"+55119{who:08d}"
        if n % 10 == 9:
            who = rng.randrange(max(1, n - 5))
            while who % 10 == 9:
                who = rng.randrange(max(1, n - 5))
            email, phone = rng.choice([(f"c{who}@example.com", ""), ("", f"+55119{who:08d}")])
        yield f"{rng.choice(first)},{rng.choice(last)},{email},{phone},São Paulo,Empresa {who % 1000},{rng.choice(['vip', 'feira', 'site'])}\n"


def post(address, path, body):
    request = urllib.request.Request(f"http://{address}{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def customer(n):
    return f"5521{900000000 + n % CUSTOMERS}"


def customers_write(here):
    """Whoever wrote can be written to for 24 hours."""
    hook = {"phone_number_id": NUMBER, "access_token": "x", "app_secret": "the secret of the app", "webhook": f"http://{here.api}/api/whatsapp/webhook"}
    post(here.graph, "/sandbox/numbers", hook)
    for n in range(CUSTOMERS):
        post(here.graph, f"/sandbox/customers/{customer(n)}/messages", {"phone_number_id": NUMBER, "name": f"Cliente {n}", "text": {"body": "Olá"}})
    for _ in range(600):
        if here.sql("select count(*) from whatsapp_conversations where window_until > now()") == str(CUSTOMERS):
            return
        time.sleep(0.1)
    sys.exit("what the customers wrote did not arrive")


def chat(client, device, rate, stop):
    """Messages to people, each in a conversation of their own, at a steady rate."""
    n, due = 0, time.monotonic()
    while not stop.is_set():
        body = {"device_id": device, "to": customer(n), "type": "text", "text": {"body": f"Mensagem {n}"}}
        client.ask("POST", "/api/whatsapp/messages/send", body)
        n, due = n + 1, due + 1 / rate
        time.sleep(max(0, due - time.monotonic()))


def starts(here, since):
    """How long messages waited for their start, from the beginning of the request's transaction: p50, p99, the longest, in ms."""
    return here.sql(
        "select count(*), round(1000 * percentile_cont(0.5) within group (order by extract(epoch from started_at - created_at))::numeric, 1),"
        " round(1000 * percentile_cont(0.99) within group (order by extract(epoch from started_at - created_at))::numeric, 1),"
        " round(1000 * max(extract(epoch from started_at - created_at))::numeric, 1)"
        f" from jobs where queue = 'whatsapp-send' and started_at is not null and created_at >= to_timestamp({since})"
    ).split("|")


def peak(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--chat", type=float, default=20, help="messages a second")
    options.add_argument("--alone", type=float, default=15, help="seconds of messages before the import")
    options = options.parse_args()
    here = Installation(options.folder)
    try:
        token = here.first_token()
        here.start("sandbox", "--bind", here.graph)
        api, worker = here.start("api"), here.start("worker")
        waited(here.api)
        client = Client(here.api, token)
        cloud = {"phone_number_id": NUMBER, "business_account_id": "1", "access_token": "x", "app_secret": "the secret of the app", "verify_token": "verify"}
        device = client.ask("POST", "/api/whatsapp/devices", {"name": "Vendas", "provider": "cloud", "cloud": cloud})["id"]
        stop = threading.Event()
        talking = threading.Thread(target=chat, args=(client, device, options.chat, stop))
        if options.chat:
            customers_write(here)
            began = time.time()
            talking.start()
            time.sleep(options.alone)
            print("messages alone:      count {}, p50 {} ms, p99 {} ms, longest {} ms".format(*starts(here, began)))

        content = "".join(contacts(options.rows)).encode()
        began = time.monotonic()
        made = client.upload("/api/contacts/import", "contacts.csv", content)
        print(f"uploaded and looked at: {len(content) / 1e6:.1f} MB, {made['total']} rows in {time.monotonic() - began:.1f} s")
        plan = {**made["options"], "create_missing": True}
        since, began = time.time(), time.monotonic()
        client.ask("POST", f"/api/imports/{made['id']}/start", plan)
        while True:
            time.sleep(0.25)
            now = client.ask("GET", f"/api/imports/{made['id']}")
            if now["state"] not in ("waiting", "running"):
                break
        took = time.monotonic() - began
        stop.set()
        counts = {name: now[name] for name in ("state", "created", "updated", "unchanged", "skipped", "failed")}
        print(f"imported: {took:.1f} s, {options.rows / took:.0f} rows a second, {counts}")
        if options.chat:
            print("messages beside it:  count {}, p50 {} ms, p99 {} ms, longest {} ms".format(*starts(here, since)))
            talking.join()
        print("contacts in the database:", here.sql("select count(*) from contacts where origin = 'import'"), "companies:", here.sql("select count(*) from companies"))
        print(f"peak memory: worker {peak(worker)} MB, api {peak(api)} MB")
        if now["failed"]:
            print("errors:", client.ask("GET", f"/api/imports/{made['id']}/errors?limit=3")["data"])
    finally:
        here.stop()


main()
