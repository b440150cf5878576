// Only framework-free modules are tested here: importing a `@jupyterlab/*` value costs minutes cold.
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/src/**/__tests__/*.spec.ts'],
  transform: {
    '\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.test.json' }]
  },
  collectCoverageFrom: ['src/model/*.ts'],
  coverageDirectory: 'coverage'
};
