// Node's cluster: the primary listens and deals connections out to workers, which echo. cluster.js PORT WORKERS
const cluster = require('cluster');
const [port, workers] = process.argv.slice(2).map(Number);
if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', () => { if (++listening === workers) console.log('ready'); });
  for (let number = 0; number < workers; number++) cluster.fork();
} else {
  require('net').createServer((socket) => {
    console.log('accepted');
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen({ port, host: '0.0.0.0' });
}
