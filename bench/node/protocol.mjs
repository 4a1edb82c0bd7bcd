// What every measured process of this folder has in common. The task, the answers and the pacing are described, and done
// the same way for SOMO, in ../src/task.rs and ../src/somo.rs.
import readline from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export const task = JSON.parse(process.argv[3] ?? process.argv[2])

/** Milliseconds of the machine's monotonic clock. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

export const tell = (event, answer = {}) => process.stdout.write(JSON.stringify({ event, ...answer }) + '\n')

const orders = readline.createInterface({ input: process.stdin })
orders.on('close', () => process.exit(0))
const ordered = new Promise((resolve) => orders.once('line', resolve))

/** Says that everything is open, and waits for `go`. */
export const ready = () => {
  tell('ready')
  return ordered
}

/** Counts jobs as they start; `isEmpty` says whether nothing is left unfinished. */
export class Tally {
  constructor(work, isEmpty) {
    this.work = work
    this.isEmpty = isEmpty
    this.count = 0
    this.first = 0
    this.starts = work.trace ? new Array(work.expect).fill(0) : []
  }

  started(n) {
    const at = now()
    if (this.work.trace) this.starts[n] = at
    if (this.count === 0) this.first = at
    if (++this.count === this.work.expect) {
      this.count = 0
      this.full(this.first, at)
    }
  }

  async full(first, last) {
    let empty = last
    if (this.work.until_empty) {
      while (!(await this.isEmpty())) await sleep(5)
      empty = now()
    }
    tell('worked', { first, last, empty, starts: this.starts })
  }
}

/** Runs `iteration(n)`, which resolves to [sent, answered], at the asked pace. */
export async function produce({ connections, jobs, pace }, iteration) {
  const started = now()
  const commits = new Array(jobs)
  if (pace === 'flat') {
    let next = 0
    const producer = async () => {
      while (next < jobs) await iteration(next++)
    }
    await Promise.all(Array.from({ length: connections }, producer))
    commits.length = 0
  } else if (pace === 'alone') {
    for (let n = 0; n < jobs; n++) {
      commits[n] = await iteration(n)
      await sleep(10 + 10 * ((n * 0.618034) % 1))
    }
  } else {
    const under_way = []
    for (let n = 0; n < jobs; n++) {
      const early = started + (n / pace.rate) * 1e3 - now()
      if (early > 0) await sleep(early)
      under_way.push(iteration(n).then((commit) => (commits[n] = commit)))
    }
    await Promise.all(under_way)
  }
  tell('produced', { started, ended: now(), commits })
}
