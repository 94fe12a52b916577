/** For whoever must be given a function, where there is nothing to do. */
export const NOTHING = (): void => undefined;
