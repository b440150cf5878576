import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['lib', 'node_modules', 'coverage', 'jest.config.js', '**/*.d.ts'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  { files: ['scripts/*.mjs'], languageOptions: { globals: globals.node } },
  {
    files: ['src/**/*.{ts,tsx}'],
    languageOptions: {
      globals: globals.browser,
      parserOptions: {
        project: './tsconfig.test.json',
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true },
          filter: { regex: '^(paths|components|operations|webhooks)$', match: false }
        }
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      curly: 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'prefer-const': 'error',
      // Text goes into the page as text nodes: what a notebook or a tracking server says may
      // hold markup.
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Use text nodes.' },
        { property: 'outerHTML', message: 'Use text nodes.' },
        { property: 'insertAdjacentHTML', message: 'Use text nodes.' }
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: 'Use text nodes.'
        },
        {
          selector: "CallExpression[callee.name='fetch']",
          message: 'Use the REST client in api.ts.'
        }
      ]
    }
  },
  {
    // The framework-free half stays so: it is what Jest can test in seconds.
    files: ['src/model/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['@jupyterlab/*', 'react', 'react-dom'], message: 'model/ is framework-free.' }
          ]
        }
      ]
    }
  },
  prettier
);
