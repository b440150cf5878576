import { Memory } from '../memory';

describe('Memory', () => {
  it('comes back as it was saved', () => {
    const memory = new Memory();
    memory.setOpen('m:a', true);
    memory.dismiss('tracking:gone');
    memory.pin({ name: 'churn', path: 'churn', key: 'k' });
    memory.setSections([true, false]);
    const saved = JSON.parse(JSON.stringify(memory.get()));
    const other = new Memory();
    other.restore(saved);
    expect(other.get()).toEqual(memory.get());
  });

  it.each([[undefined], [null], ['x'], [{ open: 'x', dismissed: 3, pinned: {}, sections: 'x' }]])(
    'starts empty after %p',
    saved => {
      const memory = new Memory();
      memory.restore(saved);
      expect(memory.get()).toEqual({ open: {}, dismissed: [], pinned: null, sections: null });
    }
  );

  it('tells of changes, and not of none', () => {
    const memory = new Memory();
    const changed = jest.fn();
    memory.subscribe(changed);
    memory.setOpen('m:a', true);
    memory.setOpen('m:a', true);
    memory.undismiss('tracking:');
    memory.dismiss('x');
    memory.dismiss('x');
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it('lets a banner come back once its cause is gone', () => {
    const memory = new Memory();
    memory.dismiss('tracking:gone');
    memory.dismiss('consent:http://x');
    memory.undismiss('tracking:');
    expect(memory.get().dismissed).toEqual(['consent:http://x']);
  });

  it('forgets the oldest', () => {
    const memory = new Memory();
    for (let i = 0; i < 600; i++) {
      memory.setOpen(`m:${i}`, true);
    }
    const ids = Object.keys(memory.get().open);
    expect(ids).toHaveLength(500);
    expect(ids).toContain('m:599');
    expect(ids).not.toContain('m:0');
  });
});
