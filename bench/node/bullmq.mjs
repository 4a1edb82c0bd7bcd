// BullMQ: `seed` adds a backlog; otherwise a worker or a producer. It has no transactions: a job is added after its record.
import { randomUUID } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import IORedis from 'ioredis'
import pg from 'pg'
import { Tally, now, produce, ready, task, tell } from './protocol.mjs'

const connect = () => new IORedis(task.redis, { maxRetriesPerRequest: null })
const options = { removeOnComplete: true, removeOnFail: true }
const queue = new Queue('bench', { connection: connect(), defaultJobOptions: options })
await queue.waitUntilReady()

if (process.argv[2] === 'seed') {
  for (let n = 0; n < task.seed; n += 5000) {
    const size = Math.min(5000, task.seed - n)
    await queue.addBulk(Array.from({ length: size }, (_, i) => ({ name: 'noop', data: { n: n + i } })))
  }
  await ready()
} else {
  const record = task.produce?.record
  const pool = record ? new pg.Pool({ connectionString: task.postgres, max: task.produce.connections }) : null
  if (pool) {
    const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
    clients.forEach((client) => client.release())
  }
  await ready()
  if (task.work) {
    const tally = new Tally(task.work, async () => (await queue.getJobCountByTypes('wait', 'active', 'prioritized')) === 0)
    const { concurrency } = task.work
    const worker = new Worker('bench', async (job) => tally.started(job.data.n), { connection: connect(), concurrency })
    worker.on('error', (error) => console.error(error))
    await worker.waitUntilReady()
    tell('working')
  }
  if (task.produce) {
    const insert = { name: 'insert', text: 'insert into bench_records (id, n, body) values ($1, $2, $3)' }
    await produce(task.produce, async (n) => {
      if (pool) await pool.query({ ...insert, values: [randomUUID(), n, 'a record that a job is about'] })
      const sent = now()
      await queue.add('noop', { n })
      return [sent, now()]
    })
  }
}
