// One container's life through dockerode, with every stream that the API has.
const assert = require('assert');
const { PassThrough } = require('stream');
const tar = require('tar-stream');
const Docker = require('dockerode');

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.slice('unix://'.length) });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (condition) => { for (let i = 0; i < 200 && !condition(); i++) await sleep(25); };
const collect = (stream) => { const all = { text: '' }; stream.on('data', (data) => { all.text += data; }); return all; };

async function attach(container) {
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  return { stream, out: collect(out), err: collect(err) };
}

async function exec(container) {
  const run = await container.exec({ Cmd: ['sh', '-c', 'echo $WORD; exit 4'], Env: ['WORD=said'], AttachStdout: true, AttachStderr: true });
  const stream = await run.start({ hijack: true });
  const out = new PassThrough();
  const said = collect(out);
  docker.modem.demuxStream(stream, out, out);
  await new Promise((resolve) => stream.on('end', resolve));
  assert.equal(said.text, 'said\n');
  assert.equal((await run.inspect()).ExitCode, 4);
}

async function archives(container) {
  const pack = tar.pack();
  pack.entry({ name: 'put.txt', mode: 0o640 }, 'content');
  pack.finalize();
  await container.putArchive(pack, { path: '/tmp' });
  const extract = tar.extract();
  const got = [];
  extract.on('entry', (header, stream, next) => {
    const content = collect(stream);
    stream.on('end', () => { got.push([header.name, header.mode & 0o777, content.text]); next(); });
  });
  const archive = await container.getArchive({ path: '/tmp/put.txt' });
  await new Promise((resolve) => archive.pipe(extract).on('finish', resolve));
  assert.deepEqual(got, [['put.txt', 0o640, 'content']]);
  const info = await container.infoArchive({ path: '/tmp/put.txt' });
  assert.equal(JSON.parse(Buffer.from(info.headers['x-docker-container-path-stat'], 'base64')).size, 7);
  assert((await container.changes()).some((change) => change.Path === '/tmp/put.txt'));
}

async function statistics(container) {
  const once = await container.stats({ stream: false });
  assert(once.pids_stats.current >= 1 && once.memory_stats.usage > 0);
  const stream = await container.stats({ stream: true });
  stream.on('error', () => {});
  await new Promise((resolve) => stream.once('data', (data) => { JSON.parse(data); stream.destroy(); resolve(); }));
}

async function life() {
  const container = await docker.createContainer({
    Image: 'busybox', name: 'ode', Cmd: ['sh', '-c', 'cat; echo err >&2; sleep 1000'], OpenStdin: true, StdinOnce: true,
    AttachStdin: true, AttachStdout: true, AttachStderr: true,
  });
  const { stream, out, err } = await attach(container);
  await container.start();
  stream.write('typed\n');
  stream.end();
  await until(() => out.text && err.text);
  assert.deepEqual([out.text, err.text], ['typed\n', 'err\n']);
  await exec(container);
  assert((await container.logs({ stdout: true, stderr: true, timestamps: true })).toString().includes('typed'));
  await statistics(container);
  await archives(container);
  await container.rename({ name: 'ode2' });
  await container.pause();
  await container.unpause();
  await container.update({ Memory: 64 << 20, MemorySwap: 128 << 20 });
  assert((await container.top()).Titles.includes('PID'));
  const wait = container.wait();
  await container.kill();
  assert.equal((await wait).StatusCode, 137);
  await container.remove({ v: true });
  await assert.rejects(container.inspect(), (error) => error.statusCode === 404);
}

async function pull(name) {
  const progress = [];
  const stream = await docker.pull(name);
  await new Promise((resolve, reject) => docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()), (line) => progress.push(line)));
  assert(progress.some((line) => /Downloaded newer image/.test(line.status)), JSON.stringify(progress));
  assert(progress.some((line) => line.progressDetail && line.id), JSON.stringify(progress));
  await docker.getImage(name).remove();
}

async function rest() {
  assert.equal((await docker.ping()).toString(), 'OK');
  const output = new PassThrough();
  const said = collect(output);
  const [result, container] = await docker.run('busybox', ['echo', 'run'], output);
  // The end of a wait and the output come by two connections.
  await until(() => said.text.length > 0);
  assert.deepEqual([result.StatusCode, said.text], [0, 'run\r\n']);
  await container.remove();
  const volume = await docker.createVolume({ Name: 'ode' });
  assert((await docker.listVolumes()).Volumes.some((one) => one.Name === 'ode'));
  await docker.getVolume(volume.name || volume.Name).remove();
  const network = await docker.createNetwork({ Name: 'ode', CheckDuplicate: true });
  assert.equal((await network.inspect()).Name, 'ode');
  await network.remove();
  await Promise.all([docker.df(), docker.info(), docker.version(), docker.listImages(), docker.listContainers({ all: true })]);
}

async function main() {
  const seen = [];
  const events = await docker.getEvents({ filters: { type: ['container'] } });
  events.on('error', () => {});
  events.on('data', (data) => data.toString().split('\n').filter(Boolean).forEach((line) => seen.push(JSON.parse(line).Action)));
  await life();
  await until(() => seen.includes('destroy'));
  events.destroy();
  const expected = ['create', 'attach', 'start', 'exec_create: sh -c echo $WORD; exit 4', 'exec_die', 'extract-to-dir', 'archive-path',
    'rename', 'pause', 'unpause', 'update', 'top', 'kill', 'die', 'destroy'];
  assert.deepEqual(expected.filter((action) => !seen.includes(action)), []);
  await pull(process.env.IMAGE);
  await rest();
  console.log('done');
  // Hijacked connections whose other end is gone would keep the process for a while.
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
