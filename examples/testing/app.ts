import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { NotFound, type Shop } from './shop.ts';

/** The application's HTTP side, as it runs in production. */
export function appOf(shop: Shop): Express {
  const app = express();
  app.use(express.json());
  const list = answering(async (_, response) => void response.json(await shop.list()));
  const stock = answering(async ({ body }, response) => {
    await shop.stock(body.name, body.count);
    response.status(201).end();
  });
  const order = answering(async ({ body }, response) => {
    response.status(201).json({ id: await shop.order(body.name) });
  });
  return app.get('/items', list).post('/items', stock).post('/orders', order);
}

/** Says in HTTP what went wrong. */
function answering(handler: (request: Request, response: Response) => Promise<void>): RequestHandler {
  return async (request, response) => {
    try {
      await handler(request, response);
    } catch (error) {
      if (error instanceof NotFound) response.status(404).json({ error: error.message });
      else if (isSoldOut(error)) response.status(409).json({ error: 'sold out' });
      else throw error;
    }
  };
}

/** A check of the table: nobody can order what is not there. */
function isSoldOut(error: unknown): boolean {
  return (error as { code?: string }).code === '23514';
}
