import type { PageRenderer } from './pages.ts'
import type { FlowDeps } from './stage.ts'

export interface FlowRoutesDeps extends FlowDeps {
  pages: PageRenderer
}
