import { setUpStage } from '../set_up.ts'

/** Shows new recovery codes. Those before hold until the person says that they have written these down. */
export const authenticator_static = setUpStage({
  type: 'static',
  fields: [],
  standardName: 'Recovery codes',
  shown: ({ codes }) => (codes ? { codes } : {}),
  mistake: 'mistake.code',
})
