// Node: echoes. echo.js PORT BACKLOG MAX_CONNECTIONS(0: none) MS_OF_WORK
const [port, backlog, most, work] = process.argv.slice(2).map(Number);
const server = require('net').createServer((socket) => {
  console.log('accepted');
  socket.on('error', () => {});
  socket.on('data', (data) => {
    const until = process.hrtime.bigint() + BigInt(work * 1e6);
    while (work && process.hrtime.bigint() < until);
    socket.write(data);
  });
});
if (most) server.maxConnections = most;
server.on('drop', () => console.log('refused'));
server.on('error', (error) => console.log(error.code));
server.listen({ port, backlog, host: '0.0.0.0' }, () => console.log('ready'));
