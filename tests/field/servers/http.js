// Node: HTTP with its own defaults (keepAliveTimeout 5 s). http.js PORT
const [port] = process.argv.slice(2).map(Number);
const server = require('http').createServer((_request, response) => response.end('hello'));
server.on('connection', () => console.log('accepted'));
server.listen({ port, host: '0.0.0.0' }, () => console.log('ready'));
