"""What script/sign-in-flood measures: see there."""

import argparse
import collections
import json
import threading
import time
import urllib.error
import urllib.request

from installation import Client, Installation, waited


def asked(address, token, seconds, rate):
    """How long somebody at the panel waits for their contacts, at a steady rate, in ms."""
    took, due, end = [], time.monotonic(), time.monotonic() + seconds
    client = Client(address, token)
    while time.monotonic() < end:
        began = time.monotonic()
        client.ask("GET", "/api/contacts?limit=50")
        took.append(1000 * (time.monotonic() - began))
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))
    return sorted(took)


def guess(address, n, stop, answers):
    """Wrong passwords, one after the other, each for another account."""
    tries = 0
    while not stop.is_set():
        body = json.dumps({"email": f"p{n}-{tries}@example.com", "password": "not this one"}).encode()
        request = urllib.request.Request(f"http://{address}/api/auth/login", data=body, headers={"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=30).close()
            answers[200] += 1
        except urllib.error.HTTPError as error:
            answers[error.code] += 1
        tries += 1


def told(name, took):
    p99 = took[int(len(took) * 0.99)]
    print(f"{name}: count {len(took)}, p50 {took[len(took) // 2]:.1f} ms, p99 {p99:.1f} ms, longest {took[-1]:.1f} ms")
    return p99


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("--guessers", type=int, default=50)
    options.add_argument("--rate", type=float, default=20, help="other requests a second")
    options.add_argument("--seconds", type=float, default=20)
    options = options.parse_args()
    here = Installation(options.folder)
    try:
        token = here.first_token()
        here.start("api")
        waited(here.api)
        client = Client(here.api, token)
        for n in range(200):
            client.ask("POST", "/api/contacts", {"first_name": f"Contato {n}"})
        asked(here.api, token, 3, options.rate)
        alone = told("alone          ", asked(here.api, token, options.seconds, options.rate))
        stop, answers = threading.Event(), collections.Counter()
        guessers = [threading.Thread(target=guess, args=(here.api, n, stop, answers)) for n in range(options.guessers)]
        for guesser in guessers:
            guesser.start()
        time.sleep(2)
        beside = told("under the flood", asked(here.api, token, options.seconds, options.rate))
        stop.set()
        for guesser in guessers:
            guesser.join()
        print(f"p99 under the flood is {beside / alone:.1f} times that alone; sign-ins were answered {dict(answers)}")
    finally:
        here.stop()


main()
