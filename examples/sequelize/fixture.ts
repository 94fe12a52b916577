import type { Handle, Library } from '@lifeguard/conformance';
import { sequelizeOn } from '@lifeguard/core/orms';
import { DataTypes, type Model, type ModelStatic, Sequelize, type Transaction } from 'sequelize';

type Notes = ModelStatic<Model<{ id: number; note?: string }>>;

export const fixture: Library = {
  name: 'sequelize',
  transactions: 'nested',
  streams: false,
  async open({ pool, pg }) {
    const sequelize = sequelizeOn(new Sequelize({ dialect: 'postgres', dialectModule: pg, logging: false }), pool, {
      pg,
    });
    const columns = { id: { type: DataTypes.INTEGER, primaryKey: true }, note: DataTypes.STRING };
    const notes: Notes = sequelize.define('Note', columns, { tableName: 't', timestamps: false });
    return { ...handleOf(notes, null), close: () => sequelize.close() };
  },
};

function handleOf(notes: Notes, transaction: Transaction | null): Handle {
  const sequelize = notes.sequelize as Sequelize;
  return {
    insert: (id) => notes.create({ id }, { transaction }),
    ids: async () => (await notes.findAll({ order: ['id'], transaction })).map((note) => note.get('id') as number),
    run: (text) => sequelize.query(text, { transaction }),
    transaction: (fn) => sequelize.transaction({ transaction }, (tx) => fn(handleOf(notes, tx))),
  };
}
