// What a test suite does with Testcontainers: start, wait in each of its ways, talk, exec, copy, read logs, stop.
const assert = require('assert');
const net = require('net');
const { GenericContainer, Network, Wait } = require('testcontainers');

const ask = (host, port, text) => new Promise((resolve, reject) => {
  const socket = net.connect(port, host, () => socket.write(text));
  socket.on('error', reject).on('data', (data) => { resolve(data.toString()); socket.end(); });
});

let step = 'starting';
const doing = (what) => { step = what; };

async function talkToRedis() {
  const redis = await new GenericContainer('redis:latest').withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections')).start();
  assert.equal(await ask(redis.getHost(), redis.getMappedPort(6379), 'PING\r\n'), '+PONG\r\n');
  doing('exec');
  const set = await redis.exec(['redis-cli', 'SET', 'key', 'value']);
  assert.deepEqual([set.exitCode, set.output.trim()], [0, 'OK']);
  doing('logs');
  const logs = await redis.logs();
  // Testcontainers takes the connection of a log from those that node waits for; something else must keep it.
  const awake = setTimeout(() => logs.destroy(new Error('no log')), 60000);
  let said = '';
  await new Promise((resolve, reject) => logs.on('error', reject).on('end', () => reject(new Error(`the log ended: ${said}`)))
    .on('data', (text) => { said += text; if (/Ready/.test(said)) { logs.destroy(); resolve(); } }));
  clearTimeout(awake);
  doing('copy');
  await redis.copyContentToContainer([{ content: 'copied', target: '/tmp/file' }]);
  assert.equal((await redis.exec('cat /tmp/file')).output, 'copied');
  doing('restart');
  await redis.restart();
  assert.equal(await ask(redis.getHost(), redis.getMappedPort(6379), 'PING\r\n'), '+PONG\r\n');
  doing('stop');
  await redis.stop();
}

async function serveOnANetwork() {
  doing('network');
  const network = await new Network().start();
  const web = await new GenericContainer('nginx:latest').withExposedPorts(80).withNetwork(network).withNetworkAliases('web')
    .withCopyContentToContainer([{ content: 'a page', target: '/usr/share/nginx/html/page' }])
    .withHealthCheck({ test: ['CMD-SHELL', 'true'], interval: 500, timeout: 1000, retries: 5, startPeriod: 0 })
    .withWaitStrategy(Wait.forAll([Wait.forHttp('/', 80), Wait.forListeningPorts(), Wait.forHealthCheck()])).start();
  doing('page');
  const page = await fetch(`http://${web.getHost()}:${web.getMappedPort(80)}/page`);
  assert.equal(await page.text(), 'a page');
  doing('once');
  const once = await new GenericContainer('busybox:latest').withNetwork(network)
    .withCommand(['busybox', 'wget', '-qO-', 'http://web/page']).withWaitStrategy(Wait.forOneShotStartup()).start();
  assert(web.getIpAddress(network.getName()).length > 0);
  await once.stop();
  await web.stop();
  await network.stop();
}

// Node ends quietly when nothing is left to wait for: a stream that never says its end must not pass for success.
process.on('exit', () => { if (step !== 'done') { console.error('ended at', step); process.exitCode = 1; } });
talkToRedis().then(serveOnANetwork).then(() => { doing('done'); console.log('done'); process.exit(0); }, (error) => { console.error(error); process.exit(1); });
