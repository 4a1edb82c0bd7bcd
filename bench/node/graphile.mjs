// graphile-worker: `setup` makes its schema; otherwise a worker or a producer.
import { randomUUID } from 'node:crypto'
import { Logger, run, runMigrations } from 'graphile-worker'
import pg from 'pg'
import { Tally, now, produce, ready, task, tell } from './protocol.mjs'

const logger = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message)
})
const connectionString = task.postgres

if (process.argv[2] === 'setup') {
  await runMigrations({ connectionString, logger })
  tell('ready')
} else {
  const pool = new pg.Pool({ connectionString, max: task.produce?.connections ?? 2 })
  // Every connection is open before the clock starts.
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
  clients.forEach((client) => client.release())
  await ready()
  if (task.work) {
    const tally = new Tally(task.work, async () => {
      const left = await pool.query({ name: 'left', text: 'select 1 from graphile_worker._private_jobs limit 1' })
      return left.rowCount === 0
    })
    // The options of the project's own performance page, with and without its batching.
    const batching = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
    const { concurrency } = task.work
    await run({
      preset: {
        worker: {
          connectionString,
          concurrentJobs: concurrency,
          maxPoolSize: Math.max(10, concurrency + 2),
          logger,
          ...(task.work.batched ? batching : {}),
        },
      },
      taskList: {
        noop: async ({ n }) => tally.started(n),
      },
    })
    tell('working')
  }
  if (task.produce) {
    const insert = { name: 'insert', text: 'insert into bench_records (id, n, body) values ($1, $2, $3)' }
    const add = { name: 'add', text: "select graphile_worker.add_job('noop', $1)" }
    await produce(task.produce, async (n) => {
      const client = await pool.connect()
      try {
        await client.query('begin')
        await client.query({ ...insert, values: [randomUUID(), n, 'a record that a job is about'] })
        await client.query({ ...add, values: [JSON.stringify({ n })] })
        const sent = now()
        await client.query('commit')
        return [sent, now()]
      } finally {
        client.release()
      }
    })
  }
}
