// Greets by name: GET /?name=Ada. Node's own modules only.
'use strict';

const http = require('node:http');

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const name = url.searchParams.get('name') ?? 'world';
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`Hello, ${name}!\n`);
});

server.listen(Number(process.env.PORT), '127.0.0.1');

process.on('SIGTERM', () => server.close());
