import { limiter } from '../limit';
import { settle } from './samples';

describe('limiter', () => {
  it('runs everything, never more than it may at once, also after failures', async () => {
    const limit = limiter(2);
    let running = 0;
    let most = 0;
    const task = (fail: boolean) =>
      limit(async () => {
        running += 1;
        most = Math.max(most, running);
        await settle();
        running -= 1;
        if (fail) {
          throw new Error('no');
        }
        return 1;
      });
    const results = await Promise.allSettled([1, 2, 3, 4, 5, 6, 7].map(i => task(i % 3 === 0)));
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(5);
    expect(most).toBe(2);
    expect(running).toBe(0);
  });
});
