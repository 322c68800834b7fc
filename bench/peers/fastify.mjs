// What one would write in an afternoon: create, update and read of a device with Fastify and better-sqlite3, durable
// (WAL, synchronous=FULL: the answer leaves after the commit).
//   each    every request is its own transaction: the obvious way
//   group   requests that came in the same turn of the loop share one transaction: the way one finds later
// It has no keys, no history, no hash chain and no deliveries: the comparison is kind to it.
//   node fastify.mjs each|group DATABASE PORT [SEED_COUNT]      SEED_COUNT: first fill in so many devices
import Database from 'better-sqlite3'
import Fastify from 'fastify'

const [mode, file, port, seedCount] = process.argv.slice(2)
const db = new Database(file)
db.pragma('journal_mode = WAL')
db.pragma('synchronous = FULL')
db.exec(`CREATE TABLE IF NOT EXISTS device(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
             doc TEXT NOT NULL, revision INTEGER NOT NULL, created_at TEXT NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS updates(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, patch TEXT NOT NULL,
             accepted_at TEXT NOT NULL) STRICT;`)

const insertDevice = db.prepare('INSERT INTO device(key, name, doc, revision, created_at) VALUES (?, ?, ?, 1, ?)')
const selectDevice = db.prepare('SELECT id, name, doc, revision, created_at FROM device WHERE key = ?')
const updateDevice = db.prepare('UPDATE device SET doc = ?, revision = revision + 1 WHERE id = ?')
const insertUpdate = db.prepare('INSERT INTO updates(device, patch, accepted_at) VALUES (?, ?, ?)')

const keyOf = name => name.normalize('NFKC').toLowerCase()

function merge(doc, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete doc[name]
    else if (typeof value === 'object' && !Array.isArray(value)) {
      const old = doc[name]
      doc[name] = merge(old && typeof old === 'object' && !Array.isArray(old) ? old : {}, value)
    } else doc[name] = value
  }
  return doc
}

function create({ device_name: name, attributes = {} }) {
  const at = new Date().toISOString()
  try {
    insertDevice.run(keyOf(name), name, JSON.stringify(attributes), at)
  } catch (error) {
    if (error.code !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
    return { status: 409, body: { code: 'device_exists' } }
  }
  return { status: 201, body: { device_name: name, attributes, revision: 1, created_at: at } }
}

function update({ device_name: name, attributes }) {
  const device = selectDevice.get(keyOf(name))
  if (!device) return { status: 404, body: { code: 'not_found' } }
  const at = new Date().toISOString()
  const doc = merge(JSON.parse(device.doc), attributes)
  updateDevice.run(JSON.stringify(doc), device.id)
  const { lastInsertRowid } = insertUpdate.run(device.id, JSON.stringify(attributes), at)
  return { status: 202, body: { id: lastInsertRowid, device_name: name, attributes, accepted_at: at } }
}

if (seedCount) {
  db.transaction(() => {
    for (let i = 0; i < Number(seedCount); i++) {
      const number = String(i).padStart(8, '0')
      create({
        device_name: `pump-${(Math.imul(i, 2654435761) >>> 0).toString(16).padStart(8, '0')}`, // bench_device.h
        attributes: {
          manufacturer: 'Example Pumps', model: `CR-${i % 97}`, serial_number: `SN00${number}`,
          location: `Hall ${i % 12}, row ${i % 40}`, firmware: `1.${i % 9}.0`,
          description: 'Circulation pump of the heating circuit, with frequency converter and remote display'
        }
      })
    }
  })()
  db.pragma('wal_checkpoint(TRUNCATE)')
  process.exit(0)
}

let waiting = []
function flush() {
  const group = waiting
  waiting = []
  try {
    db.transaction(() => {
      for (const one of group) one.result = one.work(one.body)
    })()
    for (const one of group) one.resolve(one.result)
  } catch (error) {
    for (const one of group) one.reject(error)
  }
}
const perform = mode === 'group'
  ? (work, body) => new Promise((resolve, reject) => {
      if (waiting.push({ work, body, resolve, reject }) === 1) setImmediate(flush)
    })
  : async (work, body) => db.transaction(work)(body)

const app = Fastify({ logger: false, bodyLimit: 65536 })
const attributes = { type: 'object', additionalProperties: true }
const device_name = { type: 'string', minLength: 1, maxLength: 128 }
const schema = required => ({
  body: { type: 'object', required, properties: { device_name, attributes }, additionalProperties: false }
})
const route = work => async (request, reply) => {
  const { status, body } = await perform(work, request.body)
  return reply.code(status).send(body)
}
app.post('/create-device', { schema: schema(['device_name']) }, route(create))
app.post('/update-device', { schema: schema(['device_name', 'attributes']) }, route(update))
app.get('/devices/:name', async (request, reply) => {
  const device = selectDevice.get(keyOf(request.params.name))
  if (!device) return reply.code(404).send({ code: 'not_found' })
  const { name, doc, revision, created_at } = device
  return { device_name: name, attributes: JSON.parse(doc), revision, created_at }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
